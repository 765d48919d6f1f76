import assert from 'node:assert/strict';
import { parseAddress } from '#src/base/address.js';
import { seconds } from '#src/base/time.js';
import type { Crypto } from '#src/hyper/crypto.js';
import { loadNative } from '#src/hyper/native.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { performNow } from '#src/hyper/public-key.js';
import { type Auth, type ChildConfig, type Connection, parseIdentity } from '#src/net/ipsec/ike/connection.js';
import type { IkeEvents } from '#src/net/ipsec/ike/ike.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { DEFAULT_ESP, DEFAULT_IKE, parseProposal } from '#src/net/ipsec/ike/proposal.js';
import { rangeOf } from '#src/net/ipsec/selector.js';
import { IkeService } from '#src/services/ike.js';
import type { TrafficSelector } from '#src/wire/ike-payload.js';
import { bound, receive, route } from './ipsec.js';
import { address, type Host, Net, type NetOptions, prefix } from './stacks.js';

export const psk = (text = 'a shared secret'): Auth => ({ method: 'psk', secret: new TextEncoder().encode(text) });

export function ts(text: string, protocol = 0, firstPort = 0, lastPort = 65_535): TrafficSelector {
  return { protocol, firstPort, lastPort, ...rangeOf(prefix(text)) };
}

export interface ConnectionText {
  readonly name?: string;
  readonly local: string;
  readonly remote?: string;
  readonly localId?: string;
  readonly remoteId?: string;
  readonly ike?: readonly string[];
  readonly esp?: readonly string[];
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  readonly auth?: Auth;
  readonly peerAuth?: Auth;
  readonly child?: Partial<ChildConfig>;
  readonly more?: Partial<Connection>;
}

export function connection(text: ConnectionText): Connection {
  const child: ChildConfig = {
    name: 'net',
    mode: 'tunnel',
    local: (text.localTs ?? []).map((t) => ts(t)),
    remote: (text.remoteTs ?? []).map((t) => ts(t)),
    proposals: (text.esp ?? DEFAULT_ESP).map((p) => parseProposal(p, 'esp', true)),
    rekeySeconds: 0,
    rekeyOctets: 0,
    replayWindow: 64,
    iface: null,
    tfc: 0,
    fromPacket: null,
    start: 'none',
    ...text.child,
  };
  return {
    name: text.name ?? 'test',
    localAddress: parseAddress(text.local),
    remoteAddress: text.remote === undefined ? null : parseAddress(text.remote),
    proposals: (text.ike ?? DEFAULT_IKE).map((p) => parseProposal(p, 'ike', true)),
    localId: parseIdentity(text.localId ?? text.local),
    remoteId: text.remoteId === undefined ? null : parseIdentity(text.remoteId),
    localAuth: text.auth ?? psk(),
    remoteAuth: text.peerAuth ?? text.auth ?? psk(),
    children: [child],
    dpdSeconds: 0,
    rekeySeconds: 0,
    encapsulate: false,
    fragmentation: true,
    mobike: false,
    noNats: false,
    followRedirects: true,
    redirectTo: null,
    virtualAddress: null,
    pool: [],
    unique: true,
    ...text.more,
  };
}

/** One end of an IKE test: its stack, its driver, what it told. */
export interface Peer {
  readonly host: Host;
  readonly service: IkeService;
  readonly log: string[];
}

/** Two stacks with IKE: A 192.0.2.1 with 10.1.0.1 behind it, B 192.0.2.2 with 10.2.0.1. */
export class IkeNet {
  readonly net: Net;
  readonly a: Peer;
  readonly b: Peer;

  constructor(options: NetOptions & { readonly crypto?: Crypto } = {}) {
    const crypto = immediate(options.crypto ?? nodeCrypto(loadNative()));
    this.net = new Net(
      [
        ['192.0.2.1/24', '10.1.0.1/32'],
        ['192.0.2.2/24', '10.2.0.1/32'],
      ],
      { ...options, crypto },
    );
    this.net.run(seconds(5));
    this.a = this.peer(0, '10.2.0.0/24', '192.0.2.2', '10.1.0.1');
    this.b = this.peer(1, '10.1.0.0/24', '192.0.2.1', '10.2.0.1');
  }

  private peer(n: 0 | 1, to: string, gateway: string, source: string): Peer {
    const host = this.net.hosts[n] as Host;
    route(host.stack, prefix(to), address(gateway), host.eth0.index, address(source));
    const log: string[] = [];
    const events: IkeEvents = {
      up: (sa) => log.push(`up ${sa.peerId?.text}`),
      down: (_sa, why) => log.push(`down: ${why}`),
      child: (child, what) => log.push(`child ${child.config.name} ${what}`),
      failed: (_sa, child, why) => log.push(`failed ${child}: ${why}`),
      keys: () => {},
      configured: (_sa, addresses) => log.push(`configured ${addresses.join(' ')}`),
    };
    return { host, service: new IkeService(host.stack, { events }), log };
  }

  run(span = seconds(0.5)): void {
    this.net.run(span);
  }

  /** The connection of A to B and its mirror, with what differs. */
  both(both: Partial<ConnectionText> = {}, a: Partial<ConnectionText> = {}, b: Partial<ConnectionText> = {}): [Connection, Connection] {
    const ca = connection({
      local: '192.0.2.1',
      remote: '192.0.2.2',
      localId: 'a.test',
      remoteId: 'b.test',
      localTs: ['10.1.0.0/24'],
      remoteTs: ['10.2.0.0/24'],
      ...both,
      ...a,
    });
    const cb = connection({
      local: '192.0.2.2',
      remote: '192.0.2.1',
      localId: 'b.test',
      remoteId: 'a.test',
      localTs: ['10.2.0.0/24'],
      remoteTs: ['10.1.0.0/24'],
      ...both,
      ...b,
    });
    this.a.service.ike.add(ca);
    this.b.service.ike.add(cb);
    return [ca, cb];
  }

  /** A begins; both have one IKE SA with one child afterwards. */
  up(ca: Connection): IkeSa {
    const sa = this.a.service.ike.initiate(ca) as IkeSa;
    this.run();
    assert.equal(sa.state, 'established', `${sa.error} ${JSON.stringify([this.a.log, this.b.log, this.drops()])}`);
    return sa;
  }

  drops(): unknown {
    return this.net.hosts.map((h) => h.stack.ctx.counters.dropped());
  }

  /** A datagram from 10.1.0.1 to 10.2.0.1 and its answer; false when it did not come. */
  ping(size = 100): boolean {
    const client = bound(this.a.host.stack, 5_000);
    const server = bound(this.b.host.stack, 7);
    const data = new Uint8Array(size).fill(7);
    client.sendTo(data, 0, size, address('10.2.0.1'), 7);
    this.run(seconds(0.05));
    const got = receive(server);
    if (got !== null) server.sendTo(got.data, 0, got.data.length, got.info.address, got.info.port);
    this.run(seconds(0.05));
    const back = receive(client);
    client.close();
    server.close();
    return back !== null && back.data.length === size;
  }

  end(): void {
    this.a.service.close();
    this.b.service.close();
    this.net.end();
  }
}

/** Slow work done at once: virtual time does not wait for real turns of the loop. Answers come in the caller's turn, as the contract does not have it, so this is for tests only. */
export function immediate(crypto: Crypto): Crypto {
  return { ...crypto, request: (work, done) => performNow(work, done) };
}
