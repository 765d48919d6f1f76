import { interfaceNamed } from '../api/link.js';
import type { DeviceSpec } from '../hyper/hypercalls.js';
import type { Interface } from '../net/interface.js';
import type { Stack } from '../net/stack.js';
import type { Config, InterfaceConfig } from './config.js';
import { deviceRef } from './devices.js';
import { nat64Options, nat64Schema, openNat64 } from './nat64.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { checkTunnel, makeTunnel, tunnelSchema } from './tunnels.js';

/** One VLAN of another interface. */
export interface VlanConfig {
  readonly parent: string;
  /** [1, 4094]. */
  readonly id: number;
}

/** A learning bridge. */
export interface BridgeConfig {
  readonly ports: readonly string[];
}

/** A route-based IPsec tunnel: the SAs and children of section `ipsec` that name the interface protect what is routed to it. */
export interface IpsecInterfaceConfig {
  /** Greatest inner packet. Default 1,400. */
  readonly mtu?: number;
}

/** Inner packets that pass over IPv6 with UDP encapsulation and every algorithm here. */
const IPSEC_MTU = 1_400;

/** What can carry an interface's packets: exactly one of these keys. */
const kinds = ['device', 'vlan', 'bridge', 'tunnel', 'ipsec', 'nat64'] as const;

const name: Schema = { type: 'string', description: 'An interface of this configuration.' };

/** Their schemas, for the keys of an interface. */
export const carrierSchemas: Readonly<Record<(typeof kinds)[number], Schema>> = {
  device: deviceRef,
  vlan: {
    type: 'object',
    description: 'One VLAN of an Ethernet interface: IEEE 802.1Q.',
    properties: { parent: name, id: { type: 'integer', minimum: 1, maximum: 4_094, description: 'The VLAN identifier.' } },
    required: ['parent', 'id'],
    additionalProperties: false,
  },
  bridge: {
    type: 'object',
    description: 'A learning bridge of Ethernet interfaces. It has no spanning tree: cables must not form a circle.',
    properties: { ports: { type: 'array', items: name, minItems: 1, maxItems: 64, description: 'Its ports.' } },
    required: ['ports'],
    additionalProperties: false,
  },
  tunnel: tunnelSchema,
  nat64: nat64Schema,
  ipsec: {
    type: 'object',
    description: 'A route-based IPsec tunnel: the SAs and children of section ipsec that name it protect what is routed to it.',
    properties: { mtu: { type: 'integer', minimum: 68, maximum: 65_535, description: `Greatest inner packet. Default ${IPSEC_MTU}.` } },
    additionalProperties: false,
  },
};

/** Throws ConfigError unless each interface has one carrier, and those below it exist and stand on the ground in the end. */
export function checkCarriers({ interfaces: all = {} }: Config): void {
  const masters = new Map<string, string>();
  for (const [key, iface] of Object.entries(all)) {
    const place = placeOf('interfaces', key);
    const given = kinds.filter((kind) => iface[kind] !== undefined);
    if (given.length === 0) wrong(place, `has no 'device'; there is also ${kinds.slice(1).join(', ')}`);
    if (given.length > 1) wrong(place, `has both '${given[0]}' and '${given[1]}', and one carries it`);
    for (const lower of lowers(iface))
      if (all[lower] === undefined)
        wrong(
          `${place}.${iface.mirrors === lower ? 'mirrors' : given[0]}`,
          `names '${lower}', which is no interface${hint(lower, Object.keys(all))}`,
        );
    if (iface.tunnel !== undefined) checkTunnel(iface.tunnel, `${place}.tunnel`);
    if (iface.nat64 !== undefined) nat64Options(iface.nat64, `${place}.nat64`);
    for (const port of iface.bridge?.ports ?? []) {
      const other = masters.get(port);
      if (other !== undefined) wrong(`${place}.bridge.ports`, `'${port}' is a port of ${other === key ? 'it twice' : `${other} already`}`);
      masters.set(port, key);
    }
    if (iface.mirrors === undefined) continue;
    checkMirror(iface.mirrors, iface, place, all);
    const other = masters.get(iface.mirrors);
    if (other !== undefined) wrong(`${place}.mirrors`, `'${iface.mirrors}' belongs to ${other} already`);
    masters.set(iface.mirrors, key);
  }
  for (const key of Object.keys(all)) if (circular(key, key, all, 0)) wrong(placeOf('interfaces', key), 'stands on itself');
}

function checkMirror(port: string, iface: InterfaceConfig, place: string, all: All): void {
  if (iface.device === undefined) wrong(`${place}.mirrors`, "needs a 'device', a TAP of the routing engine's host");
  if (all[port]?.mirrors !== undefined) wrong(`${place}.mirrors`, `'${port}' is a mirror itself`);
  if (iface.addresses !== undefined) wrong(`${place}.addresses`, `a mirror shows the addresses of its port, ${port}`);
}

/** The key that says what carries a checked interface. */
export const carrierOf = (iface: InterfaceConfig): string => kinds.find((kind) => iface[kind] !== undefined) as string;

/** Interfaces that one stands on. */
const lowers = ({ vlan, bridge, mirrors }: InterfaceConfig): readonly string[] => {
  if (vlan !== undefined) return [vlan.parent];
  return bridge?.ports ?? (mirrors === undefined ? [] : [mirrors]);
};

type All = Readonly<Record<string, InterfaceConfig>>;

function circular(from: string, at: string, all: All, depth: number): boolean {
  if (depth > Object.keys(all).length) return true;
  return lowers(all[at] as InterfaceConfig).some((lower) => lower === from || circular(from, lower, all, depth + 1));
}

/** Names of the interfaces, what each stands on before it. */
export function groundUp({ interfaces: all = {} }: Config): string[] {
  const order: string[] = [];
  const place = (key: string): void => {
    if (order.includes(key)) return;
    for (const lower of lowers(all[key] as InterfaceConfig)) place(lower);
    order.push(key);
  };
  for (const key of Object.keys(all)) place(key);
  return order;
}

/** Does an interface stand on one of these, directly? */
export const standsOnAny = (iface: InterfaceConfig, names: ReadonlySet<string>): boolean => lowers(iface).some((lower) => names.has(lower));

/** Makes the interface. Throws what the device, or the stack, throws. */
export function openCarrier(core: Stack, key: string, { device, vlan, bridge, tunnel, ipsec, nat64, mirrors, vrf = 0 }: InterfaceConfig): Interface {
  const lower = (of: string): Interface => interfaceNamed(core, of, 'link add');
  if (vlan !== undefined) return core.stacking.vlan(key, lower(vlan.parent), vlan.id, vrf);
  if (bridge !== undefined) return core.stacking.bridge(key, bridge.ports.map(lower), vrf);
  if (tunnel !== undefined) return core.stacking.tunnel(key, makeTunnel(core.stacking.tunnels.ground, tunnel), vrf);
  if (nat64 !== undefined) return openNat64(core, key, nat64, vrf);
  if (ipsec !== undefined) return core.addInterface(key, core.ipsec.tunnelDevice(key, ipsec.mtu ?? IPSEC_MTU), vrf);
  if (mirrors !== undefined) return core.stacking.mirror(key, lower(mirrors), () => core.hyper.open(device as DeviceSpec));
  return core.addInterface(key, core.hyper.open(device as DeviceSpec), vrf);
}
