import { slowChecksum, slowTransportChecksum } from './checksum.js';

/** What is cut: all octets of the frame in one array, and where its headers stand in it. */
export interface BigFrame {
  readonly octets: Uint8Array;
  readonly network: number;
  readonly transport: number;
  readonly size: number;
  readonly protocol: 6 | 17;
}

/** Plain frames of a big one, by slices and arrays: the twin of wire/segment. */
export function slowSegments(frame: BigFrame): Uint8Array[] {
  const { octets, network, transport, size, protocol } = frame;
  const headerEnd = transport + (protocol === 17 ? 8 : ((octets[transport + 12] as number) >> 4) * 4);
  const payload = octets.slice(headerEnd);
  const count = Math.max(1, Math.ceil(payload.length / size));
  return Array.from({ length: count }, (_, i) => {
    const part = payload.slice(i * size, (i + 1) * size);
    const plain = Uint8Array.from([...octets.slice(0, headerEnd), ...part]);
    const put16 = (at: number, value: number): void => plain.set([(value >> 8) & 255, value & 255], at);
    const get16 = (at: number): number => (plain[at] as number) * 256 + (plain[at + 1] as number);
    if ((plain[network] as number) >> 4 === 4) {
      put16(network + 2, plain.length - network);
      put16(network + 4, get16(network + 4) + i);
      put16(network + 10, 0);
      put16(network + 10, slowChecksum(plain.slice(network, network + ((plain[network] as number) & 15) * 4)));
    } else {
      put16(network + 4, plain.length - network - 40);
    }
    if (protocol === 6) {
      const seq = (get16(transport + 4) * 65_536 + get16(transport + 6) + i * size) % 2 ** 32;
      put16(transport + 4, Math.floor(seq / 65_536));
      put16(transport + 6, seq % 65_536);
      const clear = (i > 0 ? 0x80 : 0) | (i < count - 1 ? 0x09 : 0);
      plain[transport + 13] = (plain[transport + 13] as number) & ~clear;
    } else {
      put16(transport + 4, plain.length - transport);
    }
    const field = transport + (protocol === 6 ? 16 : 6);
    put16(field, 0);
    const checksum = slowTransportChecksum(plain.slice(network), transport - network, protocol);
    put16(field, protocol === 17 && checksum === 0 ? 0xffff : checksum);
    return plain;
  });
}
