/** An ArrayBuffer with its views made once: a fresh DataView costs 116 ns, a cached one 2. */
export class Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where a host has registered this page for its native calls; −1 while it has not. Owned by the host. */
  handle = -1;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/**
 * Copies `length` octets between pages. Up to 128 octets by words, since `set(subarray)` allocates a view for each
 * call; within one page by copyWithin, which does not.
 */
export function copyOctets(to: Page, toAt: number, from: Page, fromAt: number, length: number): void {
  if (length > 128) {
    if (to === from) to.bytes.copyWithin(toAt, fromAt, fromAt + length);
    else to.bytes.set(from.bytes.subarray(fromAt, fromAt + length), toAt);
    return;
  }
  const source = from.view;
  const target = to.view;
  let i = 0;
  for (; i + 4 <= length; i += 4) target.setInt32(toAt + i, source.getInt32(fromAt + i, true), true);
  for (; i < length; i++) target.setUint8(toAt + i, source.getUint8(fromAt + i));
}
