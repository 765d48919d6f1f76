import assert from 'node:assert/strict';
import { type Address, parseAddress } from '#src/base/address.js';
import { NO_KEY, OpenCookies } from '#src/net/tcp/open-cookies.js';
import { TcpOptions } from '#src/wire/tcp-options.js';
import { TcpBench } from '../../support/tcp-bench.js';
import { both } from '../../support/tcp-states.js';

/** A client that has the cookie 0102030405060708 of the bench's peer. */
function client(family: 4 | 6): TcpBench {
  const t = new TcpBench({ family });
  t.tcp.fastOpen.set(t.remote, 0, { cookie: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), mss: 1_000 });
  t.socket.onReady = () => {};
  t.socket.setOption('TCP_FASTOPEN_CONNECT', 1);
  return t;
}

/** Connects and writes in one turn; the SYN is the next segment. */
function open(t: TcpBench, data: Uint8Array): number {
  const n = t.app(() => {
    assert.equal(t.socket.connect(t.remote, t.remotePort), 0);
    return t.socket.write(data);
  });
  t.localPort = t.socket.localPort;
  return n;
}

describe('TCP Fast Open (RFC 7413)', () => {
  both('§4.2.1: without a cookie the SYN asks for one, and the SYN-ACK brings it', (family) => {
    const t = new TcpBench({ family });
    t.socket.setOption('TCP_FASTOPEN_CONNECT', 1);
    assert.equal(
      t.app(() => t.socket.connect(t.remote, t.remotePort)),
      -115,
    );
    t.localPort = t.socket.localPort;
    assert.equal(t.syn({ flags: 'S' }).options.cookieLength, 0);
    t.rx({ seq: 0, ack: 1, flags: 'SA', mss: 1_000, cookie: [9, 9, 9, 9] });
    t.tx({ seq: 1, ack: 1 });
    assert.deepEqual([...(t.tcp.fastOpen.get(t.remote, 0)?.cookie ?? [])], [9, 9, 9, 9]);
    t.end();
  });

  both('§4.2.2: with a cookie data goes with the SYN, as much as one segment of the server takes', (family) => {
    const t = client(family);
    assert.equal(open(t, new Uint8Array(2_000)), 960);
    const syn = t.sent[0];
    assert.equal(syn?.options.cookieLength, 8);
    t.syn({ flags: 'S', data: new Uint8Array(960) });
    t.rx({ seq: 0, ack: 961, flags: 'SA', mss: 1_000 });
    t.tx({ seq: 961, ack: 1 });
    assert.equal(t.socket.unackedOctets, 0);
    assert.equal(t.socket.info()?.options.syn_data, true);
    t.end();
  });

  both('§4.2.2: data the server did not take goes again at once, and without a new cookie it is not tried again', (family) => {
    const t = client(family);
    open(t, Buffer.from('hello'));
    t.syn({ flags: 'S', data: 'hello' });
    t.rx({ seq: 0, ack: 1, flags: 'SA', mss: 1_000 });
    t.tx({ seq: 1, ack: 1, flags: 'PA', data: 'hello' });
    t.quiet();
    assert.equal(t.tcp.fastOpen.get(t.remote, 0), null);
    t.end();
  });

  both('a SYN that is sent again carries neither data nor cookie', (family) => {
    const t = client(family);
    open(t, Buffer.from('hello'));
    t.syn({ flags: 'S', data: 'hello' });
    t.after(1_000_000);
    assert.equal(t.tx({ flags: 'S', seq: 0 }).options.cookieLength, -1);
    t.rx({ seq: 0, ack: 6, flags: 'SA', mss: 1_000 });
    t.tx({ seq: 6, ack: 1 });
    t.quiet();
    t.end();
  });

  const server = (family: 4 | 6, pending = 2): TcpBench => {
    const t = new TcpBench({ family, sysctl: { 'net.ipv4.tcp_fastopen': 3 } });
    t.socket.setOption('TCP_FASTOPEN', pending);
    t.listen();
    return t;
  };
  const cookieOf = (t: TcpBench): number[] => {
    t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie: [] });
    const answer = t.syn({ flags: 'SA', ack: 1 });
    assert.equal(answer.options.cookieLength, 8);
    t.rx({ seq: 1, ack: 1, flags: 'RA' });
    t.iss = 0;
    return [...answer.options.cookie.subarray(0, 8)];
  };

  both(
    '§4.2.2: the server gives a cookie, and takes data with the SYN that brings it back: the answer may go before the handshake is done',
    (family) => {
      const t = server(family);
      const cookie = cookieOf(t);
      t.remotePort++;
      t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie, data: 'ask' });
      t.syn({ flags: 'SA', ack: 4 });
      t.accepted();
      assert.equal(Buffer.from(t.read()).toString(), 'ask');
      t.write('answer');
      t.tx({ seq: 1, ack: 4, flags: 'PA', data: 'answer' });
      t.rx({ seq: 4, ack: 7 });
      assert.equal(t.state, 'ESTABLISHED');
      assert.equal(t.socket.unackedOctets, 0);
      t.quiet();
      t.end();
    },
  );

  both('a wrong cookie: the data is not taken, and the SYN-ACK brings the right one', (family) => {
    const t = server(family);
    t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie: [1, 2, 3, 4, 5, 6, 7, 8], data: 'ask' });
    assert.equal(t.syn({ flags: 'SA', ack: 1 }).options.cookieLength, 8);
    assert.equal(t.socket.accept(), null);
    t.end();
  });

  both('§5.1: no more than TCP_FASTOPEN connections are open early; the next ones shake hands first', (family) => {
    const t = server(family, 1);
    const cookie = cookieOf(t);
    t.remotePort++;
    t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie, data: 'ask' });
    t.syn({ flags: 'SA', ack: 4 });
    t.iss = 0;
    t.remotePort++;
    t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie, data: 'ask' });
    t.syn({ flags: 'SA', ack: 1 });
    t.accepted();
    t.read();
    t.end();
  });

  it("net.ipv4.tcp_fastopen_key: servers with one key give the cookie Linux gives, and take each other's", () => {
    const cookies = new OpenCookies(new Int32Array(4));
    const [server, client] = [parseAddress('192.168.0.1') as Address, parseAddress('192.0.2.1') as Address];
    const options = new TcpOptions();
    cookies.give(options, server, client);
    const own = Buffer.from(options.cookie.subarray(0, 8)).toString('hex');
    cookies.setKey('a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4');
    assert.equal(cookies.taken(options, server, client), false, `${own} was another key's`);
    cookies.give(options, server, client);
    assert.equal(Buffer.from(options.cookie.subarray(0, 8)).toString('hex'), '3021b9d889017eeb');
    assert.equal(cookies.taken(options, server, client), true);
    assert.equal(cookies.taken(options, client, server), false);
    cookies.setKey(NO_KEY);
    assert.equal(cookies.taken(options, server, client), false);
  });

  both(
    'net.ipv4.tcp_fastopen 0x400: a listener that did not ask gives cookies too, of the key that was set, in the option that was asked with',
    (family) => {
      const ask = (bits: number, experimental: boolean): TcpOptions => {
        const t = new TcpBench({
          family,
          sysctl: { 'net.ipv4.tcp_fastopen': bits, 'net.ipv4.tcp_fastopen_key': 'a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4' },
        });
        t.listen();
        t.rx({ seq: 0, flags: 'S', mss: 1_000, cookie: [], cookieExperimental: experimental });
        const { options } = t.syn({ flags: 'SA' });
        t.end();
        return options;
      };
      assert.equal(ask(2, false).cookieLength, -1);
      assert.equal(ask(0x402, false).cookieLength, 8);
      assert.equal(ask(0x402, false).cookieExperimental, false);
      const experimental = ask(0x402, true);
      assert.deepEqual([experimental.cookieLength, experimental.cookieExperimental], [8, true]);
    },
  );
});
