import { type Address, parseAddress } from '../base/address.js';
import { GreTunnel } from '../net/stacked/gre.js';
import { ENCAPSULATION_LIMIT, IpTunnel } from '../net/stacked/ip-tunnel.js';
import type { TunnelDevice, TunnelGround, TunnelOptions } from '../net/stacked/tunnel.js';
import { VxlanTunnel } from '../net/stacked/vxlan.js';
import { PORT } from '../wire/vxlan.js';
import { type Schema, wrong } from './schema.js';

/** What every tunnel has. */
interface Ends {
  /** One of our addresses. */
  readonly local: string;
  readonly remote: string;
  /** TTL or hop limit of the outer packets. Default: the tunable's. */
  readonly ttl?: number;
  /** Traffic class of the outer packets. Default: that of the inner ones. ECN is always theirs. */
  readonly tos?: number;
  /** Greatest inner packet. Default: 1,500 less what the tunnel adds. */
  readonly mtu?: number;
  /** The network of the outer packets. Default 0. */
  readonly vrf?: number;
}

/** A tunnel: 'ip' carries IPv4 and IPv6 in either. */
export type TunnelConfig =
  | (Ends & { readonly type: 'ip'; readonly encapsulationLimit?: number })
  | (Ends & { readonly type: 'gre'; readonly key?: number; readonly checksum?: boolean; readonly sequence?: boolean })
  | (Ends & { readonly type: 'vxlan'; readonly id: number; readonly port?: number });

const integer = (minimum: number, maximum: number, description: string): Schema => ({ type: 'integer', minimum, maximum, description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const end = (description: string): Schema => ({ type: 'string', description });

function tunnel(type: string, description: string, properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return {
    type: 'object',
    description,
    properties: {
      type: { const: type },
      local: end('Our end: an address of ours.'),
      remote: end('The other end.'),
      ttl: integer(1, 255, "TTL or hop limit of the outer packets. Default: the tunable's."),
      tos: integer(0, 255, 'Traffic class of the outer packets; ECN is always that of the inner ones. Default: all of it is.'),
      mtu: integer(68, 65_535, 'Greatest inner packet. Default: 1,500 less what the tunnel adds.'),
      vrf: integer(0, 65_535, 'The network of the outer packets. Default 0.'),
      ...properties,
    },
    required: ['type', 'local', 'remote', ...required],
    additionalProperties: false,
  };
}

/** Schema of the key `tunnel`. */
export const tunnelSchema: Schema = {
  description: 'A tunnel to one other end.',
  oneOf: [
    tunnel('ip', 'IPv4 and IPv6 in IPv4 (RFC 2003, RFC 4213) or in IPv6 (RFC 2473).', {
      encapsulationLimit: integer(-1, 255, 'Tunnels its packets may pass beneath, over IPv6; -1: they do not say. Default 4.'),
    }),
    tunnel('gre', 'GRE (RFC 2784, RFC 2890, RFC 7676).', {
      key: integer(0, 4_294_967_295, 'Tells tunnels of the same ends apart.'),
      checksum: flag('Covers header and payload. Default false.'),
      sequence: flag('Numbers the packets; what comes out of order is dropped. Default false.'),
    }),
    tunnel(
      'vxlan',
      'Ethernet in UDP (RFC 7348).',
      { id: integer(0, 16_777_215, 'VXLAN network identifier.'), port: integer(1, 65_535, 'UDP port. Default 4,789.') },
      ['id'],
    ),
  ],
};

/** Throws ConfigError for ends that are no addresses, or of two families. */
export function checkTunnel({ local, remote }: TunnelConfig, place: string): void {
  const ends = [local, remote].map((text, i) => {
    const address = parseAddress(text);
    const usable = address !== null && !address.isMulticast && !address.isUnspecified && !address.isLimitedBroadcast;
    return usable ? address : wrong(`${place}.${i === 0 ? 'local' : 'remote'}`, `'${text}' is to be an address of one host`);
  });
  if (ends[0]?.isV4 !== ends[1]?.isV4) wrong(place, 'has ends of two families');
}

/** The device of a checked tunnel. */
export function makeTunnel(ground: TunnelGround, config: TunnelConfig): TunnelDevice {
  const { ttl = 0, tos = -1, mtu = 0, vrf = 0 } = config;
  const [local, remote] = [config.local, config.remote].map((text) => parseAddress(text) as Address) as [Address, Address];
  const options: TunnelOptions = { local, remote, ttl, tos, mtu, vrf };
  switch (config.type) {
    case 'ip':
      return new IpTunnel(ground, options, config.encapsulationLimit ?? ENCAPSULATION_LIMIT);
    case 'gre':
      return new GreTunnel(ground, options, { key: config.key ?? -1, checksum: config.checksum ?? false, sequence: config.sequence ?? false });
    default:
      return new VxlanTunnel(ground, options, config.id, config.port ?? PORT);
  }
}
