import assert from 'node:assert/strict';
import type { Config } from '#src/config/config.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';
import type { TraceEvent, TraceOptions } from '#src/observe/trace.js';
import { until } from '../support/until.js';

/** Host – gateway – host; the gateway hides the left one behind 10.0.2.1 and refuses port 23. */
describe('trace', () => {
  let left: AnyStack;
  let gateway: AnyStack;
  let right: AnyStack;
  beforeEach(async () => {
    const [a, g0] = memoryLink();
    const [g1, b] = memoryLink();
    const host = (name: string, device: typeof a, address: string, via: string, more: Config = {}): AnyStack =>
      createStack({ name, interfaces: { eth0: { device, addresses: [address] } }, routes: [{ to: 'default', via }], ...more });
    left = host('left', a, '10.0.1.2/24', '10.0.1.1');
    right = host('right', b, '10.0.2.2/24', '10.0.2.1', { services: { echo: true } });
    gateway = createStack({
      name: 'gateway',
      interfaces: { in: { device: g0, addresses: ['10.0.1.1/24'] }, out: { device: g1, addresses: ['10.0.2.1/24'] } },
      sysctl: { 'net.ipv4.ip_forward': 1 },
      filter: {
        chains: [
          {
            name: 'forward',
            hook: 'forward',
            policy: 'drop',
            rules: [
              { protocol: 'udp', dport: 23, verdict: 'drop' },
              { state: ['established'], verdict: 'accept' },
              { iif: 'in', protocol: 'udp', dport: '1-999', verdict: 'accept' },
            ],
          },
          { name: 'nat', hook: 'postrouting', rules: [{ oif: 'out', verdict: 'masquerade' }] },
        ],
      },
    });
    await Promise.all([left.ready, gateway.ready, right.ready]);
  });
  afterEach(() => Promise.all([left.close(), gateway.close(), right.close()]));

  /** What a trace tells while `act` runs and until `enough` holds. */
  async function traced(stack: AnyStack, options: TraceOptions, act: () => void, enough: (events: TraceEvent[]) => boolean): Promise<TraceEvent[]> {
    const events: TraceEvent[] = [];
    const trace = stack.trace(options, (event) => events.push(event));
    act();
    await until(() => enough(events), `events of a trace, not ${JSON.stringify(events)}`);
    const stats = await trace.stop();
    assert.equal(stats.events, events.length);
    return events;
  }
  const send = (port: number): void => {
    const socket = left.dgram.createSocket('udp4');
    socket.send('x', port, '10.0.2.2', () => socket.close());
  };
  const told = (events: readonly TraceEvent[]): string[] => events.map((e) => `${e.where} ${e.what}`);

  it('follows a packet from one interface to the other: tracking, route, rule, translation, neighbour', async () => {
    const events = await traced(
      gateway,
      { filter: 'udp and dst 10.0.2.2', count: 1 },
      () => send(7),
      (e) => e.at(-1)?.where === 'tx',
    );
    assert.deepEqual(
      told(events).map((line) => line.replace(/:\d+/g, ':n').replace(/([0-9a-f]{2}:n?){5}.*/, 'mac')),
      [
        'rx in',
        'track new',
        'route table 254: 10.0.2.0/24 dev out',
        'forward[2] accept',
        'nat[0] masquerade',
        'nat source 10.0.1.2:n becomes 10.0.2.1:n',
        'neighbour 10.0.2.2 is asked for: the packet waits',
        events.at(-2)?.what === undefined ? '' : `neighbour ${events.at(-2)?.what}`.replace(/:\d+/g, ':n').replace(/([0-9a-f]{2}:n?){5}.*/, 'mac'),
        'tx out',
      ],
    );
    assert.equal(new Set(events.map((e) => e.packet)).size, 1, 'one packet, one number');
    assert.match(events[0]?.summary ?? '', /^10\.0\.1\.2:\d+ > 10\.0\.2\.2:7 udp 43$/);
    assert.match(events.at(-1)?.summary ?? '', /^10\.0\.2\.1:\d+ > 10\.0\.2\.2:7 udp 43$/);
  });

  it('says by which rule and for what reason a packet dies, and what can be done', async () => {
    const events = await traced(
      gateway,
      { filter: 'port 23' },
      () => send(23),
      (e) => e.at(-1)?.where === 'drop',
    );
    assert.deepEqual(told(events).slice(-2), ['forward[0] drop', 'drop FilterDrop']);
    assert.equal(events.at(-1)?.cause, 'A rule said drop.');
    assert.match(events.at(-1)?.remedy ?? '', /shows the rules/);
    const undecided = await traced(
      gateway,
      { filter: 'port 1000' },
      () => send(1_000),
      (e) => e.at(-1)?.where === 'drop',
    );
    assert.deepEqual(told(undecided).slice(-2), ['forward policy drop', 'drop FilterDrop'], 'no rule did');
  });

  it('follows our own packets from their path on, and what is delivered to its protocol', async () => {
    const own = await traced(
      left,
      { filter: 'port 7', count: 2 },
      () => send(7),
      (e) => e.some((x) => x.where === 'deliver'),
    );
    assert.deepEqual(
      own.filter((e) => e.where !== 'neighbour').map((e) => `${e.packet === own[0]?.packet ? 'first' : 'second'} ${e.where} ${e.what}`),
      ['first output dev eth0 via 10.0.1.1 mtu 1500', 'first tx eth0', 'second rx eth0', 'second deliver udp'],
    );
  });

  it('sees only what its filter lets through, stops after count, and loses and counts what its buffer has no room for', async () => {
    const events: TraceEvent[] = [];
    const trace = gateway.trace({ filter: 'port 7', count: 1, bufferMax: 3 }, (event) => events.push(event));
    send(9);
    send(7);
    const stats = await trace.done;
    assert.equal(stats.packets, 1);
    assert.ok(stats.lost > 0);
    assert.equal(events.length, stats.events);
    assert.ok(events.every((e) => !e.summary.includes(':9 ')));
  });

  it('nobody looks when it is over, and close ends it', async () => {
    const trace = left.trace({}, () => {});
    assert.notEqual(left.core.ctx.observer.verdict, null);
    await left.close();
    await trace.done;
    assert.equal(left.core.ctx.observer.verdict, null);
  });

  it('route get explains: rule, table, prefix, hop; and why there is none', () => {
    const to = gateway.route.get('10.0.2.9');
    assert.deepEqual([to.dev, to.rule, to.table, to.prefix, to.protocol], ['out', undefined, 254, '10.0.2.0/24', 'kernel']);
    gateway.route.add('0.0.0.0/0', { via: '10.0.2.9', table: 20 });
    gateway.core.ip.routes.setRules([{ priority: 100, mark: 5, action: { table: 20 } }]);
    const marked = gateway.route.get('192.0.2.1', { mark: 5 });
    assert.deepEqual([marked.rule, marked.table, marked.prefix, marked.via], [100, 20, 'default', '10.0.2.9']);
    assert.throws(() => gateway.route.get('192.0.2.1'), { code: 'ENETUNREACH', message: /no route matches/ });
    const forwarded = gateway.route.get('192.0.2.1', { mark: 5, iif: 'in', src: '10.0.1.2' });
    assert.deepEqual([forwarded.dev, forwarded.rule], ['out', 100]);
    gateway.neigh.add('10.0.2.9', { lladdr: '02:00:00:00:00:09', dev: 'out' });
    const expected = { lladdr: '02:00:00:00:00:09', state: 'PERMANENT' };
    assert.deepEqual(gateway.route.get('10.0.2.9').neighbor, expected);
    assert.deepEqual(gateway.route.get('10.0.2.9', { iif: 'in', src: '10.0.1.2' }).neighbor, expected);
    gateway.route.add('198.51.100.0/24', { type: 'prohibit' });
    for (const flow of [{}, { iif: 'in', src: '10.0.1.2' }])
      assert.throws(() => gateway.route.get('198.51.100.1', flow), { code: 'EACCES', message: /table 254: 198\.51\.100\.0\/24 prohibit/ });
  });
});
