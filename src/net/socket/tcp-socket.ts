import type { Address } from '../../base/address.js';
import { Errno } from '../../base/errors.js';
import { sendLimit, tunedAfterRead } from '../tcp/autotune.js';
import { abandon, abort, closeSending } from '../tcp/close.js';
import { synRoom } from '../tcp/fast-open.js';
import type { TcpInfo } from '../tcp/info.js';
import { connectionInfo } from '../tcp/info-of.js';
import type { Listener } from '../tcp/listener.js';
import { bind, connect, listen } from '../tcp/open.js';
import { type ConnectionOptions, getPlainOption, setPlainOption } from '../tcp/options.js';
import type { Binding } from '../tcp/ports.js';
import { SendBuffer } from '../tcp/send-buffer.js';
import { bufferAsked, bufferOf } from '../tcp/socket-buffer.js';
import { State, sends, stateNames } from '../tcp/states.js';
import type { Tcb } from '../tcp/tcb.js';
import type { Tcp } from '../tcp/tcp.js';
import { windowOpened } from '../tcp/window.js';
import { Ready, Socket } from './socket.js';

/**
 * A TCP socket: unconnected, listening or connected. All calls answer at once: a count or 0, or a negative errno;
 * −EAGAIN means "after the next onReady". Received octets may be read after the connection has ended, then comes the error, then 0.
 */
export class TcpSocket extends Socket {
  readonly kind = 'tcp';
  readonly tcp: Tcp;
  /** Written only through setOption; the stack's defaults are shared until the first. */
  options: ConnectionOptions;
  /** The connection; null before connect and for listeners. Stays when the connection has ended, until close. */
  tcb: Tcb | null = null;
  /** Non-null while listening. */
  listener: Listener | null = null;
  /** The port it holds, null while it has none. */
  binding: Binding | null = null;
  /** Zone of a link-local local address. */
  zone = 0;
  private ownOptions = false;
  private error = 0;
  private readShut = false;

  constructor(tcp: Tcp, family: 4 | 6 | 46) {
    super(tcp.ctx, family);
    this.tcp = tcp;
    this.options = tcp.defaults;
  }

  /** RFC 9293's name of the state; 'LISTEN' for a listener, 'CLOSED' before and after. */
  get state(): string {
    if (this.listener !== null) return 'LISTEN';
    return stateNames[this.tcb?.state ?? State.Closed] as string;
  }

  /**
   * Takes a local address and port. null is any address, port 0 an ephemeral one. `zone`: interface index of a link-local
   * address. 0, or −EADDRINUSE, −EADDRNOTAVAIL, −EAFNOSUPPORT, −EINVAL when it has a port already.
   */
  bind(address: Address | null, port: number, zone = 0): number {
    if (this.closed) return -Errno.EBADF;
    return bind(this.tcp, this, address, port, zone);
  }

  /** Accepts connections: at most `backlog` established ones wait for accept (bounded by net.core.somaxconn). Called again, it changes the backlog. */
  listen(backlog: number): number {
    if (this.closed) return -Errno.EBADF;
    if (this.tcb !== null) return -Errno.EINVAL;
    return listen(this.tcp, this, backlog);
  }

  /** The oldest connection that waits, or null. It inherits the listener's options. */
  accept(): TcpSocket | null {
    return this.listener === null ? null : this.listener.accept();
  }

  /** Opens a connection: −EINPROGRESS, or 0 when TCP_FASTOPEN_CONNECT is set and what is written now goes with the SYN; then Writable or Error; −EISCONN, −EALREADY, −ENETUNREACH, −EADDRNOTAVAIL, … at once. */
  connect(address: Address, port: number, zone = 0): number {
    if (this.closed) return -Errno.EBADF;
    if (this.listener !== null) return -Errno.EISCONN;
    if (this.tcb !== null) return this.tcb.state === State.SynSent ? -Errno.EALREADY : -Errno.EISCONN;
    this.ctx.touch();
    return connect(this.tcp, this, address, port, zone);
  }

  /**
   * Queues octets for sending and copies them. Returns how many were taken, −EAGAIN when none, −EPIPE after shutdown, −ENOTCONN, or the
   * connection's error. `more`: others will follow at once, so a short segment may wait for them (MSG_MORE).
   */
  write(data: Uint8Array, offset = 0, length: number = data.length - offset, more = false): number {
    const refused = this.cannotWrite();
    if (refused !== 0) return refused;
    const tcb = this.tcb as Tcb;
    // Before the SYN is out, data begins behind it.
    const buffer = (tcb.sendBuffer ??= new SendBuffer(tcb.state === State.SynSent ? (tcb.snd.iss + 1) | 0 : tcb.snd.nxt));
    const limit = tcb.state === State.SynSent && tcb.snd.nxt === tcb.snd.iss ? synRoom(tcb) : 0;
    // With Fast Open what is written first is what the SYN carries; the rest follows the handshake.
    const room = (limit || sendLimit(tcb)) - buffer.octets;
    if (length === 0) return 0;
    if (room <= 0) return -Errno.EAGAIN;
    const n = buffer.write(this.ctx, data, offset, Math.min(length, room));
    if (n === 0) return -Errno.EAGAIN;
    tcb.snd.more = more;
    tcb.tcp.touch(tcb);
    return n;
  }

  /** `write`, and the last octet taken is urgent (RFC 9293 §3.8.5). For protocols that have it already; new ones should not (SHLD-13). */
  writeUrgent(data: Uint8Array, offset = 0, length: number = data.length - offset): number {
    const n = this.write(data, offset, length);
    if (n > 0) {
      const { snd, sendBuffer } = this.tcb as Tcb;
      snd.up = (sendBuffer as SendBuffer).end;
      snd.urgent = true;
    }
    return n;
  }

  /** Copies up to `length` octets into `into`. Returns how many, 0 at the end of the stream, −EAGAIN when none have come, −ENOTCONN, or the connection's error. */
  read(into: Uint8Array, offset = 0, length: number = into.length - offset): number {
    const { tcb } = this;
    if (tcb === null) return this.error !== 0 ? -this.takeError() : -Errno.ENOTCONN;
    if (this.available > 0) {
      const n = (tcb.receiveBuffer as NonNullable<Tcb['receiveBuffer']>).read(into, offset, length);
      this.consumed(tcb, n);
      return n;
    }
    return this.readNothing(tcb);
  }

  /** The octets that can be read without a copy, lent until the next call of this socket; null when there are none: `read` tells why. */
  peek(): Uint8Array | null {
    return this.tcb?.receiveBuffer?.peek() ?? null;
  }

  /** Takes the first `n` of the octets that `peek` lent. */
  consume(n: number): void {
    const tcb = this.tcb as Tcb;
    tcb.receiveBuffer?.consume(n);
    this.consumed(tcb, n);
  }

  /** Octets that can be read now. */
  get available(): number {
    const { tcb } = this;
    // What came with a SYN that crossed ours waits for ESTABLISHED (RFC 9293 §3.10.7.3).
    return tcb === null || tcb.receiveBuffer === null || (tcb.state === State.SynReceived && tcb.early === null) ? 0 : tcb.receiveBuffer.available;
  }

  /** Octets until the end of the urgent data still to be read; −1 when there is none. RFC 9293 MUST-33. */
  get urgentOctets(): number {
    const { tcb } = this;
    if (tcb === null || !tcb.rcv.urgent) return -1;
    return (tcb.rcv.up - (tcb.receiveBuffer?.head ?? tcb.rcv.nxt)) | 0;
  }

  /** Octets that `write` would take now; 0 when it would not. */
  get writableSpace(): number {
    const { tcb } = this;
    if (tcb === null || tcb.snd.fin || !sends(tcb.state)) return 0;
    return Math.max(0, sendLimit(tcb) - (tcb.sendBuffer?.octets ?? 0));
  }

  /** Octets written and not yet sent once. */
  get unsentOctets(): number {
    const { tcb } = this;
    if (tcb === null || tcb.sendBuffer === null) return 0;
    return Math.max(0, (tcb.sendBuffer.end - tcb.snd.nxt) | 0);
  }

  /** Octets written and not yet acknowledged. */
  get unackedOctets(): number {
    return this.tcb?.sendBuffer?.octets ?? 0;
  }

  /** Ends one direction or both: 'write' sends FIN behind what was written. 0 or −ENOTCONN. */
  shutdown(how: 'read' | 'write' | 'both'): number {
    const { tcb } = this;
    if (tcb === null || tcb.state < State.SynReceived) return -Errno.ENOTCONN;
    const changes = (how !== 'write' && !this.readShut) || (how !== 'read' && !tcb.snd.fin);
    if (how !== 'write') this.readShut = true;
    if (how !== 'read') closeSending(tcb);
    if (changes) this.changed();
    return 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ctx.touch();
    this.onReady = null;
    if (this.listener !== null) this.listener.close();
    this.listener = null;
    const { tcb } = this;
    this.tcb = null;
    if (tcb !== null) abandon(tcb, this.options.linger === 0);
    else this.tcp.release(this);
  }

  /** Resets the connection at once (RFC 9293 §3.9.1.5) and closes the socket. */
  abort(): void {
    this.ctx.touch();
    if (this.tcb !== null) abort(this.tcb);
    this.close();
  }

  /**
   * Why nothing gets through at the moment, as errno: what ICMP last said, or ETIMEDOUT after R1 timeouts; 0 while all is well. onReady is
   * called when it changes; who does not care does not look (RFC 9293 §3.9.1.8 MUST-47, SHLD-9, SHLD-20).
   */
  get softError(): number {
    return this.tcb?.softError ?? 0;
  }

  /** What tcp_info tells; null without a connection. */
  info(): TcpInfo | null {
    return this.tcb === null ? null : connectionInfo(this.tcb);
  }

  readiness(): number {
    const { listener, tcb } = this;
    if (listener !== null) return listener.waiting > 0 ? Ready.Readable : 0;
    let ready = this.error !== 0 ? Ready.Error : 0;
    if (tcb === null) return ready | Ready.Writable | Ready.HangUp;
    const { state } = tcb;
    if (state === State.SynSent || (state === State.SynReceived && tcb.early === null)) return ready;
    const over = state === State.Closed || state === State.TimeWait;
    const ended = tcb.rcv.ended || over || this.readShut;
    if (ended || this.available >= this.options.receiveLowat) ready |= Ready.Readable;
    if (ended) ready |= Ready.ReadHangUp;
    if (tcb.rcv.urgent) ready |= Ready.Priority;
    if (over || (tcb.rcv.ended && tcb.snd.fin)) ready |= Ready.HangUp;
    if (over || tcb.snd.fin || this.roomToWrite(tcb)) ready |= Ready.Writable;
    return ready;
  }

  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  getOption(name: string): number | string {
    switch (name) {
      case 'SO_ERROR':
        return this.takeError();
      case 'SO_TYPE':
        return 1;
      case 'SO_ACCEPTCONN':
        return this.listener === null ? 0 : 1;
      case 'SO_RCVBUF':
        return this.receiveBufferSize();
      case 'SO_SNDBUF':
        return this.options.sendBuffer || (this.tcb === null ? this.ctx.sysctl.v['net.ipv4.tcp_wmem'][1] : sendLimit(this.tcb));
      case 'TCP_CONGESTION':
        return this.options.congestion || this.ctx.sysctl.v['net.ipv4.tcp_congestion_control'];
      case 'TCP_MAXSEG':
        return this.tcb === null ? this.options.maxSeg || 536 : this.tcb.snd.mss;
      case 'TCP_KEEPIDLE':
        return this.options.keepIdle || this.ctx.sysctl.v['net.ipv4.tcp_keepalive_time'];
      case 'TCP_KEEPINTVL':
        return this.options.keepInterval || this.ctx.sysctl.v['net.ipv4.tcp_keepalive_intvl'];
      case 'TCP_KEEPCNT':
        return this.options.keepCount || this.ctx.sysctl.v['net.ipv4.tcp_keepalive_probes'];
      default:
        return getPlainOption(this.options, name);
    }
  }

  setOption(name: string, value: number | string): number {
    const options = this.writableOptions();
    this.ctx.touch();
    let result = 0;
    if (name === 'TCP_CONGESTION') result = this.tcp.setCongestion(this, String(value));
    else if (name === 'SO_RCVBUF' || name === 'SO_SNDBUF') result = this.setBuffer(options, name, Number(value));
    else result = setPlainOption(options, name, Number(value));
    if (result === 0) {
      if (this.tcb !== null) this.tcp.optionsChanged(this.tcb, name);
      if (this.listener !== null) this.listener.options = options;
    }
    return result;
  }

  fail(errno: number): void {
    this.error = errno;
    if (this.listener !== null) this.listener.close();
    this.listener = null;
    if (this.tcb !== null) this.tcp.finish(this.tcb, errno);
    else this.tcp.release(this);
    this.changed();
  }

  /** The connection ended, or an error is to be told of: 0 tells only of the change. For the TCP. */
  report(errno: number): void {
    if (errno !== 0) this.error = errno;
    this.changed();
  }

  /** Takes over a connection that a listener has made. For the TCP. */
  adopt(tcb: Tcb): void {
    this.tcb = tcb;
    this.options = tcb.options;
    this.vrf = tcb.vrf;
    this.localAddress.copy(tcb.local);
    this.remoteAddress.copy(tcb.remote);
    this.localPort = tcb.localPort;
    this.remotePort = tcb.remotePort;
    this.zone = tcb.zone;
    tcb.socket = this;
  }

  /** True when enough room is free that waking a writer pays: a third of what is queued (Linux's sk_stream_is_writeable), and not too much unsent. */
  private roomToWrite(tcb: Tcb): boolean {
    if (!sends(tcb.state) && tcb.early === null) return false;
    const queued = tcb.sendBuffer?.octets ?? 0;
    const lowat = this.options.notSentLowat || this.ctx.sysctl.v['net.ipv4.tcp_notsent_lowat'];
    return 2 * (sendLimit(tcb) - queued) >= queued && this.unsentOctets < lowat;
  }

  private cannotWrite(): number {
    const { tcb } = this;
    if (this.error !== 0) return -this.takeError();
    if (tcb === null) return -Errno.ENOTCONN;
    if (tcb.snd.fin || tcb.state === State.Closed || tcb.state > State.CloseWait) return -Errno.EPIPE;
    if (sends(tcb.state) || tcb.early !== null) return 0;
    // Fast Open: what is written before the handshake is done goes with the SYN, or right behind it.
    return tcb.state === State.SynSent && this.options.fastOpenConnect !== 0 ? 0 : -Errno.EAGAIN;
  }

  private readNothing(tcb: Tcb): number {
    if (this.error !== 0) return -this.takeError();
    if (tcb.rcv.ended || this.readShut || tcb.state === State.Closed) return 0;
    return -Errno.EAGAIN;
  }

  private consumed(tcb: Tcb, n: number): void {
    const { rcv } = tcb;
    if (rcv.urgent && ((rcv.up - (tcb.receiveBuffer?.head ?? rcv.nxt)) | 0) <= 0) rcv.urgent = false;
    if (tcb.state === State.Closed) return;
    tunedAfterRead(tcb, n);
    windowOpened(tcb);
  }

  private receiveBufferSize(): number {
    const { tcb, tcp, options } = this;
    // BSD's grows with the window in whole segments, and so does what it says.
    if (options.receiveBuffer > 0 && !tcp.plainBuffers) return options.receiveBuffer;
    if (tcb !== null && tcb.state !== State.Closed) return bufferOf(tcp, tcb.rcv.space);
    return options.receiveBuffer || this.ctx.sysctl.v['net.ipv4.tcp_rmem'][1];
  }

  private setBuffer(options: ConnectionOptions, name: string, value: number): number {
    const { v } = this.ctx.sysctl;
    if (!Number.isSafeInteger(value) || value < 0) return -Errno.EINVAL;
    // Linux doubles what is asked for, and bounds it silently.
    if (name === 'SO_RCVBUF') options.receiveBuffer = bufferAsked(this.tcp, value, v['net.core.rmem_max'], 2_304);
    else options.sendBuffer = bufferAsked(this.tcp, value, v['net.core.wmem_max'], 4_608);
    return 0;
  }

  private writableOptions(): ConnectionOptions {
    // A listener's connections share its options as they were when they came.
    if (!this.ownOptions || this.listener !== null) {
      this.options = this.options.clone();
      this.ownOptions = true;
      if (this.tcb !== null) this.tcb.options = this.options;
    }
    return this.options;
  }
}
