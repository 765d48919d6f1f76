/**
 * Classic capture files (draft-ietf-opsawg-pcap §4, §5), read only: what we write is pcapng.
 *
 * ```
 *  file:   | magic | 2 | 4 | 0 | 0 | snapshot length | link type | packet …      24 octets
 *  packet: | seconds | fraction | captured | original | octets …                 16 octets and the frame
 * ```
 */
import type { Micros } from '../base/time.js';

/** What a frame begins with (draft-ietf-opsawg-pcaplinktype). */
export const LinkType = { Ethernet: 1, Raw: 101, Ipv4: 228, Ipv6: 229 } as const;

/** One frame of a capture: a range of the file's octets. Reused by the caller. */
export class CapturedFrame {
  /** First octet, and one past the last. */
  start = 0;
  end = 0;
  /** Octets it had on the wire; more than are there when the capture cut it. */
  originalLength = 0;
  /** Since the epoch. */
  time: Micros = 0;
  /** One of LinkType, or another number the file names. */
  linkType = 0;
  /** Index of the interface in its section; 0 in classic files. */
  interfaceIndex = 0;
  comment = '';
}

/** Reads a capture front to back. Owned by the caller, over octets that stay as they are. */
export interface CaptureReader {
  /** The next frame into `frame`; false at the end, or where the file is broken: `problem` tells which. */
  next(frame: CapturedFrame): boolean;
  /** What is wrong with the file, '' while nothing is. */
  readonly problem: string;
}

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const PACKET_HEADER = 16;

/** The octets begin like a classic capture, of either byte order. */
export function isPcap(view: DataView): boolean {
  if (view.byteLength < FILE_HEADER) return false;
  return isMagic(view.getUint32(0)) || isMagic(view.getUint32(0, true));
}

const isMagic = (word: number): boolean => word === MICROSECONDS || word === NANOSECONDS;

/** Reads a classic capture. `isPcap` holds for the view. */
export class PcapReader implements CaptureReader {
  problem = '';
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly linkType: number;
  /** Microseconds per unit of the fraction. */
  private readonly unit: number;
  private at = FILE_HEADER;

  constructor(view: DataView) {
    this.view = view;
    this.little = !isMagic(view.getUint32(0));
    this.unit = view.getUint32(0, this.little) === NANOSECONDS ? 1e-3 : 1;
    // The high bits may tell of a frame check sequence: draft-ietf-opsawg-pcap §4.
    this.linkType = view.getUint32(20, this.little) & 0xffff;
  }

  next(frame: CapturedFrame): boolean {
    const { view, at, little } = this;
    if (at === view.byteLength || this.problem !== '') return false;
    const left = view.byteLength - at - PACKET_HEADER;
    const captured = left < 0 ? 0 : view.getUint32(at + 8, little);
    if (left < captured) {
      this.problem = `the packet at octet ${at} runs past the end`;
      return false;
    }
    frame.start = at + PACKET_HEADER;
    frame.end = frame.start + captured;
    frame.originalLength = view.getUint32(at + 12, little);
    frame.time = view.getUint32(at, little) * 1e6 + view.getUint32(at + 4, little) * this.unit;
    frame.linkType = this.linkType;
    frame.interfaceIndex = 0;
    frame.comment = '';
    this.at = frame.end;
    return true;
  }
}
