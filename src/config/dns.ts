import { parseAddress } from '../base/address.js';
import { parsePrefix64 } from '../net/nat64/prefix.js';
import type { DnsConfig } from '../services/dns/names.js';
import { labelsOf } from '../wire/dns-name.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, wrong } from './schema.js';
import type { Section, Step } from './section.js';

/** Name servers, search domains, and the forwarder. Applied as a whole. */
export const dns: Section<'dns'> = {
  key: 'dns',
  schema: {
    type: 'object',
    description: 'Name servers, search domains, and a forwarder for stations on the link.',
    properties: {
      servers: {
        type: 'array',
        items: {
          type: 'string',
          pattern: '^(\\[[0-9A-Fa-f:.]+(%[^\\]\\s]+)?\\](:\\d{1,5})?|[\\d.]+(:\\d{1,5})?|[0-9A-Fa-f:.]+(%\\S+)?)$',
          description: 'such as 192.0.2.53, [2001:db8::53]:5353 or fe80::1%eth0',
        },
        description: 'Asked in this order. Default: those that DHCP and router advertisements tell.',
      },
      search: { type: 'array', items: { type: 'string' }, description: 'Domains tried for names of few dots. Default: those learned.' },
      ndots: { type: 'integer', minimum: 0, maximum: 15, description: 'Dots a name must have to be tried as it stands first. Default 1.' },
      mixedCase: { type: 'boolean', description: 'Questions in letters of random case, which forgers have to guess. Default false.' },
      hosts: {
        type: 'object',
        additionalProperties: { type: 'array', items: { type: 'string' }, minItems: 1 },
        description: "Addresses of names that nobody is asked for: { 'plant.example': ['10.0.0.7'] }.",
      },
      forwarder: {
        type: 'object',
        description: "Answers UDP and TCP port 53 on these interfaces, for stations on their links, from the stack's servers and cache.",
        properties: {
          interfaces: { type: 'array', items: { type: 'string' }, minItems: 1, description: 'Where it listens.' },
          rate: { type: 'integer', minimum: 1, maximum: 1_000_000, description: 'Questions a second over UDP. Default 1,000.' },
          dns64: {
            anyOf: [{ type: 'boolean' }, { type: 'string' }],
            description: 'Prefix of a NAT64: hosts without IPv6 addresses get one behind it (RFC 6147). True: 64:ff9b::/96. Default false.',
          },
        },
        required: ['interfaces'],
        additionalProperties: false,
      },
    },
    additionalProperties: false,
  },
  check({ dns: config = {}, interfaces = {} }) {
    for (const [i, domain] of (config.search ?? []).entries()) {
      if (domain === '' || labelsOf(domain) === null) wrong(`dns.search[${i}]`, `'${domain}' is no domain name`);
    }
    for (const [name, addresses] of Object.entries(config.hosts ?? {})) {
      const place = placeOf('dns.hosts', name);
      if (name === '' || labelsOf(name) === null) wrong(place, `'${name}' is no domain name`);
      for (const [i, text] of addresses.entries()) if (parseAddress(text) === null) wrong(placeOf(place, i), `'${text}' is no address`);
    }
    if (typeof config.forwarder?.dns64 === 'string') parsePrefix64(config.forwarder.dns64, 'dns.forwarder.dns64');
    const known = Object.keys(interfaces);
    for (const [i, name] of (config.forwarder?.interfaces ?? []).entries()) {
      if (!known.includes(name)) wrong(`dns.forwarder.interfaces[${i}]`, `'${name}' is no interface${hint(name, known)}`);
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const moved = (before.dns?.forwarder?.interfaces ?? []).some((name) => fresh.has(name));
    if (!moved && JSON.stringify(before.dns) === JSON.stringify(after.dns)) return { remove: [], add: [] };
    // The forwarder lets go of its interfaces before they go.
    return {
      remove: before.dns === undefined ? [] : [configuring({}, before.dns)],
      add: after.dns === undefined ? [] : [configuring(after.dns, {})],
    };
  },
};

function configuring(to: DnsConfig, back: DnsConfig): Step {
  return { place: 'dns', run: ({ names }) => names.configure(to), undo: ({ names }) => names.configure(back) };
}
