import { Errno } from '../../base/errors.js';
import type { Micros } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Stack } from '../../net/stack.js';
import { TimerKind } from '../../net/timer-kind.js';
import { Flag, type Message, type Question, Rcode } from '../../wire/dns.js';
import { codeOf, type DnsCode } from './codes.js';
import { type AskOptions, makeRequest } from './request.js';
import type { NameServer } from './settings.js';
import { TcpExchange } from './tcp-exchange.js';
import { type Reply, UdpExchange } from './udp-exchange.js';

/** How patient a question is. */
export interface Patience {
  /** The first answer of a server is waited for so long; doubled with each round. */
  readonly timeout: Micros;
  /** Rounds over all servers. */
  readonly tries: number;
}

/** What a question ends with: a message whose response code is NoError or NxDomain, or why there is none. */
export type Outcome = Message | DnsCode;

/**
 * One question, asked of the servers by turns until one answers: over UDP, over TCP where the answer is truncated or somebody guesses,
 * without EDNS where a server does not know it (RFC 6891 §7).
 */
export class Transaction {
  private readonly core: Stack;
  private readonly question: Question;
  private readonly servers: readonly NameServer[];
  private readonly options: AskOptions;
  private readonly patience: Patience;
  private readonly done: (outcome: Outcome) => void;
  private readonly timer = new Timer(TimerKind.Callback, this);
  private exchange: UdpExchange | TcpExchange | null = null;
  private turn = 0;
  private edns: boolean;
  private failure: DnsCode = 'ETIMEOUT';

  /** `done` may be called at once when nobody can be asked; in whatever phase the stack is. */
  constructor(
    core: Stack,
    question: Question,
    servers: readonly NameServer[],
    options: AskOptions,
    patience: Patience,
    done: (outcome: Outcome) => void,
  ) {
    this.core = core;
    this.question = question;
    this.servers = servers;
    this.options = options;
    this.patience = patience;
    this.edns = options.edns ?? true;
    this.done = done;
    if (servers.length === 0) this.failure = 'ECONNREFUSED';
  }

  start(): void {
    this.core.ctx.touch();
    this.next();
  }

  /** Ends it without a word. */
  cancel(): void {
    this.core.ctx.wheel.cancel(this.timer);
    this.exchange?.close();
    this.exchange = null;
  }

  /** The server did not answer in time. For Stack.expire. */
  expire(): void {
    this.failure = 'ETIMEOUT';
    this.turn++;
    this.next();
  }

  /** Asks the server whose turn it is, or the first behind it that can be reached. */
  private next(): void {
    this.cancel();
    const { servers, patience, core } = this;
    for (; this.turn < patience.tries * servers.length && core.ctx.ended === 0; this.turn++) {
      if (this.ask(UdpExchange)) return;
    }
    this.finish(core.ctx.ended === 0 ? this.failure : 'ECANCELLED');
  }

  private ask(Exchange: typeof UdpExchange | typeof TcpExchange): boolean {
    const { core, options, patience, servers } = this;
    const server = servers[this.turn % servers.length] as NameServer;
    const request = makeRequest(core.hyper, this.question, { ...options, edns: this.edns });
    const exchange = new Exchange(core, server, request, (reply) => this.take(reply));
    const result = exchange.start(server);
    if (result < 0) {
      this.failure = 'ECONNREFUSED';
      return false;
    }
    this.exchange = exchange;
    core.ctx.wheel.arm(this.timer, core.ctx.now + patience.timeout * 2 ** Math.floor(this.turn / servers.length));
    core.hyper.soon();
    return true;
  }

  private take(reply: Reply): void {
    const overTcp = this.exchange instanceof TcpExchange;
    this.exchange = null;
    if (typeof reply === 'number') {
      this.failed(reply, overTcp);
      return;
    }
    if (!overTcp && (reply.flags & Flag.Truncated) !== 0) {
      this.again(TcpExchange);
      return;
    }
    const { rcode } = reply;
    if (rcode === Rcode.NoError || rcode === Rcode.NxDomain) {
      this.finish(reply);
      return;
    }
    if (this.edns && (rcode === Rcode.FormErr || rcode === Rcode.NotImp || rcode === Rcode.BadVers)) {
      this.edns = false;
      this.again(UdpExchange);
      return;
    }
    this.failure = codeOf(rcode);
    this.turn++;
    this.next();
  }

  private failed(errno: number, overTcp: boolean): void {
    if (errno === Errno.EPROTO && !overTcp) {
      this.again(TcpExchange);
      return;
    }
    this.failure = errno === Errno.EPROTO ? 'EBADRESP' : 'ECONNREFUSED';
    this.turn++;
    this.next();
  }

  /** The same server once more, in another way. */
  private again(Exchange: typeof UdpExchange | typeof TcpExchange): void {
    this.cancel();
    if (this.ask(Exchange)) return;
    this.turn++;
    this.next();
  }

  private finish(outcome: Outcome): void {
    this.cancel();
    this.done(outcome);
  }
}
