import * as pcapng from '#src/wire/pcapng.js';

/** A pcapng file of Ethernet frames; times in microseconds. */
export function captureFile(frames: readonly { readonly time: number; readonly bytes: Uint8Array }[]): Uint8Array {
  const octets = new Uint8Array(frames.reduce((sum, { bytes }) => sum + bytes.length + 128, 1_024));
  const view = new DataView(octets.buffer);
  let at = pcapng.putSection(view, 0, pcapng.text('test'));
  at = pcapng.putInterface(view, at, pcapng.LinkType.Ethernet, 0, pcapng.text('eth0'));
  for (const { time, bytes } of frames) {
    const data = pcapng.putPacket(view, at, 0, time, bytes.length, bytes.length);
    octets.set(bytes, data);
    at = pcapng.putPacketEnd(view, at, pcapng.Direction.Inbound);
  }
  return octets.subarray(0, at);
}
