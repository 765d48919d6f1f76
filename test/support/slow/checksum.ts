/** The Internet checksum as RFC 1071 §1 words it: 16-bit words, one by one, the carry added at once. */
export function slowChecksum(...ranges: Uint8Array[]): number {
  const bytes = ranges.flatMap((range) => [...range]);
  if (bytes.length % 2 === 1) bytes.push(0);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] as number) * 256 + (bytes[i + 1] as number);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

/** The checksum of a transport message with the pseudo header of its IP header, which stands at the beginning of `packet`. */
export function slowTransportChecksum(packet: Uint8Array, transport: number, protocol: number): number {
  const length = packet.length - transport;
  const v6 = (packet[0] as number) >> 4 === 6;
  const addresses = v6 ? packet.slice(8, 40) : packet.slice(12, 20);
  const tail = v6 ? [0, 0, length >> 8, length & 255, 0, 0, 0, protocol] : [0, protocol, length >> 8, length & 255];
  return slowChecksum(addresses, Uint8Array.from(tail), packet.slice(transport));
}
