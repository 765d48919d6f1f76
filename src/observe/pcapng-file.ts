import { dropNames } from '../base/drops.js';
import { Page } from '../base/page.js';
import type { Micros } from '../base/time.js';
import type { Interface } from '../net/interface.js';
import * as pcapng from '../wire/pcapng.js';

/** The link type of what an interface's frames begin with. */
export const linkTypeOf = (iface: { readonly medium: Interface['medium'] }): number =>
  iface.medium === 'ethernet' ? pcapng.LinkType.Ethernet : pcapng.LinkType.Raw;

/** The section header all our captures begin with. */
export function sectionBlock(application: string): Uint8Array {
  const name = pcapng.text(application);
  const page = new Page(new Uint8Array(pcapng.sectionLength(name)));
  pcapng.putSection(page.view, 0, name);
  return page.bytes;
}

/** One interface's description. `snapLength` 0 is no limit. */
export function interfaceBlock(name: string, linkType: number, snapLength: number): Uint8Array {
  const octets = pcapng.text(name);
  const page = new Page(new Uint8Array(pcapng.interfaceLength(octets)));
  pcapng.putInterface(page.view, 0, linkType, snapLength, octets);
  return page.bytes;
}

/** One packet, whole in memory. `time` is since the epoch; `direction` a pcapng.Direction; `reason` a Drop number or 0. */
export function packetBlock(interfaceIndex: number, time: Micros, bytes: Uint8Array, length: number, direction: number, reason: number): Uint8Array {
  const comment = dropComment(reason);
  const page = new Page(new Uint8Array(pcapng.packetLength(bytes.length, comment)));
  page.bytes.set(bytes, pcapng.putPacket(page.view, 0, interfaceIndex, time, bytes.length, length));
  pcapng.putPacketEnd(page.view, 0, direction, comment);
  return page.bytes;
}

/** The comment of a dropped packet. */
export const dropComment = (reason: number): Uint8Array => (reason === 0 ? NONE : pcapng.text(`dropped: ${dropNames[reason]}`));

const NONE = new Uint8Array(0);
