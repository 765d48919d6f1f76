import { type Address, anyV4, anyV6 } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import { type Seq, seqGt } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import type { Path } from '../ip/path.js';
import type { TcpSocket } from '../socket/tcp-socket.js';
import type { Flowing } from './demux.js';
import { cookieKnown } from './fast-open.js';
import { Listener } from './listener.js';
import { pathTo } from './paths.js';
import { choosePort } from './port-choice.js';
import { Binding } from './ports.js';
import { enter, State } from './states.js';
import { openReceiveSpace } from './syn.js';
import { Ecn, Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';
import { TimeWait } from './time-wait.js';

/** How far behind the old connection's last octet a new one begins: beyond any unscaled window. */
const ISN_STEP = 65_537;

/** See TcpSocket.bind. */
export function bind(tcp: Tcp, socket: TcpSocket, wanted: Address | null, port: number, zone: number): number {
  if (socket.binding !== null || socket.tcb !== null) return -Errno.EINVAL;
  if (!(port >= 0 && port <= 65_535)) return -Errno.EINVAL;
  const local = wanted ?? (socket.family === 4 ? anyV4() : anyV6());
  if (!fits(socket.family, local)) return -Errno.EAFNOSUPPORT;
  if (!local.isUnspecified && !tcp.ip.isLocal(local, socket.vrf)) return -Errno.EADDRNOTAVAIL;
  const make = (p: number): Binding => {
    const binding = new Binding(local, p, socket.vrf, zone, socket.family);
    binding.device = socket.boundIndex;
    binding.reuseAddress = socket.options.reuseAddress !== 0;
    binding.reusePort = socket.options.reusePort !== 0;
    return binding;
  };
  const chosen = port !== 0 ? port : choosePort(tcp.ctx, tcp.ctx.prng.uint32(), (p) => tcp.ports.free(p, socket.vrf));
  if (chosen === 0) return -Errno.EADDRINUSE;
  const binding = make(chosen);
  if (tcp.ports.conflict(binding) !== null) return -Errno.EADDRINUSE;
  tcp.ports.add(binding);
  socket.binding = binding;
  socket.localAddress.copy(local);
  socket.localPort = chosen;
  socket.zone = zone;
  return 0;
}

/** See TcpSocket.listen. */
export function listen(tcp: Tcp, socket: TcpSocket, backlog: number): number {
  const bounded = Math.max(0, Math.min(backlog, tcp.ctx.sysctl.v['net.core.somaxconn']));
  if (socket.listener !== null) {
    socket.listener.backlog = bounded;
    return 0;
  }
  if (socket.binding === null) {
    const refused = bind(tcp, socket, null, 0, 0);
    if (refused !== 0) return refused;
  }
  const binding = socket.binding as Binding;
  binding.listening = true;
  if (tcp.ports.conflict(binding) !== null) {
    binding.listening = false;
    return -Errno.EADDRINUSE;
  }
  socket.listener = new Listener(tcp, socket, bounded);
  tcp.listeners.add(socket.listener);
  return 0;
}

/** See TcpSocket.connect. RFC 9293 §3.10.1. */
export function connect(tcp: Tcp, socket: TcpSocket, remote: Address, port: number, zone: number): number {
  if (!(port >= 1 && port <= 65_535)) return -Errno.EINVAL;
  if (!fits(socket.family, remote)) return -Errno.EAFNOSUPPORT;
  // MUST-46: no connection to a group.
  if (remote.isMulticast || remote.isLimitedBroadcast) return -Errno.ENETUNREACH;
  if (tcp.crowded) return -Errno.ENOBUFS;
  const scope = remote.isLinkLocal && !remote.isV4 ? zone || socket.zone || socket.boundIndex : 0;
  const path = pathTo(tcp, socket.localAddress, remote, socket.localPort, port, socket.vrf, scope || socket.boundIndex, socket.options);
  if (typeof path === 'number') return path;
  if (path.group) return -Errno.ENETUNREACH;
  if (socket.localAddress.isUnspecified) socket.localAddress.copy(path.source);
  if (socket.localPort === 0) {
    const offset = tcp.secrets.port(socket.localAddress, remote, port);
    socket.localPort = choosePort(tcp.ctx, offset, (p) => connectable(tcp, socket, remote, p, port, scope));
    if (socket.localPort === 0) return -Errno.EADDRNOTAVAIL;
  } else if (!connectable(tcp, socket, remote, socket.localPort, port, scope)) return -Errno.EADDRNOTAVAIL;
  socket.remoteAddress.copy(remote);
  socket.remotePort = port;
  open(tcp, socket, path, scope);
  return socket.tcb !== null && cookieKnown(socket.tcb) ? 0 : -Errno.EINPROGRESS;
}

/** Active OPEN: the TCB in SYN-SENT; its SYN goes out in egress. */
function open(tcp: Tcp, socket: TcpSocket, path: Path, zone: number): void {
  const tcb = new Tcb(tcp, socket, socket.options, socket.localAddress, socket.remoteAddress);
  tcb.localPort = socket.localPort;
  tcb.remotePort = socket.remotePort;
  tcb.vrf = socket.vrf;
  tcb.zone = zone;
  tcb.path = path;
  socket.tcb = tcb;
  const { snd, local, remote } = tcb;
  const before = tcp.flows.find(local, remote, tcb.localPort, tcb.remotePort, tcb.vrf, zone);
  if (before instanceof TimeWait) tcp.timeWaits.end(before);
  snd.iss = firstSeq(tcp, tcb, before instanceof TimeWait ? before : null);
  snd.una = snd.nxt = snd.iss;
  tcb.tsOffset = tcp.secrets.stampOffset(local, remote);
  if (tcp.ctx.sysctl.v['net.ipv4.tcp_ecn'] === 1) tcb.ecn = new Ecn();
  openReceiveSpace(tcb);
  tcp.flows.add(tcb);
  tcp.ctx.counters.count(Counter.TcpActiveOpens);
  enter(tcb, State.SynSent);
  tcp.touch(tcb);
}

/** The ISS of a flow; past all that the TIME-WAIT it takes the place of has used (RFC 9293 MAY-2, RFC 6191 §2). */
export function firstSeq(tcp: Tcp, flow: Flowing, before: TimeWait | null): Seq {
  const isn = tcp.secrets.isn(flow.local, flow.remote, flow.localPort, flow.remotePort, tcp.ctx.now);
  return before === null || seqGt(isn, before.sndNxt) ? isn : (before.sndNxt + ISN_STEP) | 0;
}

/** Is the flow free, or in a TIME-WAIT that timestamps let us end? */
function connectable(tcp: Tcp, socket: TcpSocket, remote: Address, localPort: number, port: number, zone: number): boolean {
  if (socket.binding === null && !tcp.ports.free(localPort, socket.vrf)) return false;
  const held = tcp.flows.find(socket.localAddress, remote, localPort, port, socket.vrf, zone);
  if (held === null) return true;
  if (!(held instanceof TimeWait) || !held.timestamps) return false;
  const reuse = tcp.ctx.sysctl.v['net.ipv4.tcp_tw_reuse'];
  return (reuse === 1 || (reuse === 2 && remote.isLoopback)) && tcp.ctx.now / 1e6 - held.tsRecentAt > 1;
}

/** Can a socket of the family have this address? */
function fits(family: 4 | 6 | 46, address: Address): boolean {
  if (family === 46) return true;
  return address.isV4 ? family === 4 : family === 6;
}
