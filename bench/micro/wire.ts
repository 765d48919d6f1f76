/** Checking and reading headers as the input path does. */
import { Address } from '#src/base/address.js';
import { ipv4, ipv6, tcp, tcpOptions, udp } from '#src/wire/index.js';
import { measure } from './measure.js';

const view = new DataView(new ArrayBuffer(2_048));
const source = new Address(0x20010db8, 0, 0, 1);
const destination = new Address(0x20010db8, 0, 0, 2);
const chain = new ipv6.Chain();
const options = new tcpOptions.TcpOptions();

ipv4.put(view, 0, 0, 1_500, 1, ipv4.Flag.DontFragment, 64, 6, 0x0a000001, 0x0a000002);
tcp.put(view, 20, 1, 2, 3, 4, 32, tcp.Flag.Ack, 1_000, 0, 0);
options.timestamps = true;
tcpOptions.putOptions(view, 40, options);
ipv6.put(view, 200, 0, 0, 48, 17, 64, source, destination);
udp.put(view, 240, 53, 53, 48, 0);
const syn = new tcpOptions.TcpOptions();
Object.assign(syn, { mss: 1_460, windowScale: 7, sackPermitted: true, timestamps: true });
tcp.put(view, 400, 1, 2, 3, 4, 40, tcp.Flag.Syn, 1_000, 0, 0);
tcpOptions.putSynOptions(view, 420, syn);

measure('ipv4.check', () => ipv4.check(view, 0, 1_500));
measure('ipv6.check and walk without extension headers', () => ipv6.check(view, 200, 288) + ipv6.walk(view, 200, 288, chain));
measure('tcp.check and nine getters', () => {
  const at = 20;
  return (
    tcp.check(view, at, 1_500) +
    tcp.sourcePort(view, at) +
    tcp.destinationPort(view, at) +
    tcp.seq(view, at) +
    tcp.ack(view, at) +
    tcp.headerLength(view, at) +
    tcp.flags(view, at) +
    tcp.window(view, at) +
    tcp.urgent(view, at)
  );
});
measure('tcp options, timestamps alone', () => tcpOptions.parseOptions(view, 20, options));
measure('tcp options, SYN', () => tcpOptions.parseOptions(view, 400, options));
measure('udp.check', () => udp.check(view, 240, 288));
measure('ipv4.put', (i) => {
  ipv4.put(view, 600, 0, 1_500, i & 0xffff, 0, 64, 6, 1, 2);
  return 0;
});
measure('ipv4.decrementTtl', () => {
  ipv4.decrementTtl(view, 600);
  return 0;
});
