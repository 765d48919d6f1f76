import type { NeighborSpec } from '../api/neigh.js';
import type { RouteSpec } from '../api/route.js';
import type { RuleSpec } from '../api/rule.js';
import type { Device, DeviceSpec } from '../hyper/hypercalls.js';
import type { Rate } from '../net/link/shaper.js';
import { type ProfileName, profiles } from '../net/profiles.js';
import type { DhcpServerSpec } from '../services/dhcp/server-spec.js';
import type { DnsConfig } from '../services/dns/names.js';
import type { ForwardSpec, ProxyConfig } from '../services/relay/forwards.js';
import type { ServiceSpecs } from '../services/services.js';
import type { PolicyConfig } from './address-selection.js';
import type { BridgeConfig, IpsecInterfaceConfig, VlanConfig } from './carriers.js';
import { deviceSchema } from './devices.js';
import type { FilterConfig } from './filter.js';
import type { IpsecConfig } from './ipsec.js';
import type { MulticastConfig } from './multicast.js';
import type { Nat64Config } from './nat64.js';
import type { RouterConfig } from './router.js';
import { checkSchema, type Schema } from './schema.js';
import { sections } from './sections.js';
import type { TunnelConfig } from './tunnels.js';
import type { VrrpConfig } from './vrrp.js';

/** A stack's configuration: what a file says, or a program hands to createStack. Everything has a default but the devices. */
export interface Config {
  /** Of this shape. Default and only value: 1. */
  readonly version?: 1;
  /** Names the stack in errors, logs and files, and its control socket. Default 'default'. */
  readonly name?: string;
  /** The set of tunables to start from. Default 'linux'. */
  readonly profile?: ProfileName;
  /** Values by Linux's names; they win over the profile. */
  readonly sysctl?: Readonly<Record<string, unknown>>;
  readonly interfaces?: Readonly<Record<string, InterfaceConfig>>;
  readonly neighbors?: readonly NeighborSpec[];
  readonly routes?: readonly ({ readonly to: string } & RouteSpec)[];
  readonly rules?: readonly RuleSpec[];
  readonly addressSelection?: readonly PolicyConfig[];
  readonly filter?: FilterConfig;
  readonly dns?: DnsConfig;
  readonly dhcp?: DhcpConfig;
  readonly router?: RouterConfig;
  readonly vrrp?: readonly VrrpConfig[];
  readonly multicast?: MulticastConfig;
  readonly ipsec?: IpsecConfig;
  readonly services?: ServiceSpecs;
  readonly forwards?: readonly ForwardSpec[];
  readonly proxy?: ProxyConfig;
}

/** DHCP servers. A client is asked for by the word 'dhcp' among the addresses of its interface. */
export interface DhcpConfig {
  /** By interface. */
  readonly servers?: Readonly<Record<string, DhcpServerSpec>>;
}

/** One interface. Its name is its key. */
export interface InterfaceConfig {
  /** What carries its packets. In a program also a Device itself. */
  readonly device?: DeviceSpec | Device;
  /** In the place of a device: one VLAN of another interface. */
  readonly vlan?: VlanConfig;
  /** In the place of a device: a bridge of others. */
  readonly bridge?: BridgeConfig;
  /** In the place of a device: a tunnel. */
  readonly tunnel?: TunnelConfig;
  /** In the place of a device: a translator between IPv6 and IPv4. */
  readonly nat64?: Nat64Config;
  /** In the place of a device: a route-based IPsec tunnel. */
  readonly ipsec?: IpsecInterfaceConfig;
  /** Beside a device, a TAP: it shows this interface to a routing engine on the host. See net/stacked/mirror.ts. */
  readonly mirrors?: string;
  /** '10.0.0.2/24' and so on. 'auto': IPv6 addresses of the prefixes that routers advertise, and by DHCPv6 where they say so. */
  readonly addresses?: readonly string[];
  /** Default: the device's. */
  readonly mtu?: number;
  /** How fast it may send, flows sharing evenly (RFC 8290). Default: as fast as the device takes it. */
  readonly rate?: Rate;
  /** The network it belongs to: addresses and routes of one know nothing of another's. Default 0. */
  readonly vrf?: number;
  /** Default true. */
  readonly up?: boolean;
}

const head: Readonly<Record<string, Schema>> = {
  $schema: { type: 'string', description: 'Where an editor finds this schema.' },
  version: { const: 1, description: 'Of this shape; may be left out.' },
  name: {
    type: 'string',
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
    description: 'a name of letters, digits, dot, dash and underscore, at most 64 long',
  },
  profile: { type: 'string', enum: Object.keys(profiles), description: 'The set of tunables to start from.' },
};

/** The JSON Schema of the whole configuration. */
export const configSchema: Schema = {
  type: 'object',
  description: 'Configuration of an anystack TCP/IP stack.',
  properties: { ...head, ...Object.fromEntries(sections.map((s) => [s.key, s.schema])) },
  additionalProperties: false,
  $defs: { device: deviceSchema },
};

/** Throws ConfigError, one sentence with the place, unless `value` is a configuration. Applies nothing and opens nothing. */
export function checkConfig(value: unknown, options: { anyDevice?: boolean } = {}): Config {
  const config = normalized(value);
  checkSchema(configSchema, options.anyDevice ? withoutDevices(config) : config);
  for (const section of sections) section.check?.(config as Config);
  return config as Config;
}

/** A Device given in the place of its spec becomes one. */
function normalized(value: unknown): unknown {
  return mapDevices(value, (device) => (isDevice(device) ? { type: 'memory', device } : device));
}

/** A host of one's own knows device types that the schema does not. */
function withoutDevices(value: unknown): unknown {
  return mapDevices(value, (device) => (typeof (device as DeviceSpec | null)?.type === 'string' ? { type: 'memory', device: null } : device));
}

function mapDevices(value: unknown, map: (device: unknown) => unknown): unknown {
  const interfaces = (value as Config | null)?.interfaces as unknown;
  if (typeof interfaces !== 'object' || interfaces === null || Array.isArray(interfaces)) return value;
  const mapped = Object.entries(interfaces).map(([name, iface]) => {
    const given = iface as { device?: unknown } | null;
    return [name, typeof given === 'object' && given !== null && 'device' in given ? { ...given, device: map(given.device) } : given];
  });
  return { ...(value as object), interfaces: Object.fromEntries(mapped) as unknown };
}

const isDevice = (value: unknown): value is Device => typeof (value as Device | null)?.transmit === 'function';
