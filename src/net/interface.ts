import type { Device } from '../hyper/hypercalls.js';

/** (being written) */
export interface Interface { readonly index: number; readonly name: string; readonly mtu: number; readonly device: Device; readonly vrf: number }
