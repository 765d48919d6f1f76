import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AnyStack, createStack } from '#src/index.js';
import { pair } from '../support/pair.js';

interface Point {
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly timeUnixNano: string;
  readonly startTimeUnixNano?: string;
  readonly asInt?: string;
  readonly asDouble?: number;
}
interface Metric {
  readonly name: string;
  readonly sum?: { readonly aggregationTemporality: number; readonly isMonotonic: boolean; readonly dataPoints: readonly Point[] };
  readonly gauge?: { readonly dataPoints: readonly Point[] };
}
interface Pushed {
  readonly resourceMetrics: readonly [
    { readonly resource: { readonly attributes: Point['attributes'] }; readonly scopeMetrics: readonly [{ readonly metrics: readonly Metric[] }] },
  ];
}

/** The first push a server gets, answered. */
async function pushed(server: http.Server): Promise<[IncomingMessage, Pushed]> {
  const [request, response] = (await once(server, 'request')) as [IncomingMessage, http.ServerResponse];
  let body = '';
  for await (const octets of request) body += String(octets);
  response.end('{}');
  return [request, JSON.parse(body) as Pushed];
}

describe('metrics pushed by OTLP', () => {
  let stack: AnyStack;
  afterEach(() => stack.close());

  it('to a collector of the host: names, kinds, times and values as the protocol has them', async () => {
    const collector = http.createServer().listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    stack = createStack({ name: 'gw', services: { otlp: { url: `http://127.0.0.1:${port}/v1/metrics`, service: 'plant' } } });
    const [request, { resourceMetrics }] = await pushed(collector);
    assert.deepEqual(
      [request.method, request.url, request.headers['content-type'], request.headers.host],
      ['POST', '/v1/metrics', 'application/json', `127.0.0.1:${port}`],
    );
    const [{ resource, scopeMetrics }] = resourceMetrics;
    assert.deepEqual(
      resource.attributes.map(({ key, value }) => [key, value.stringValue]),
      [
        ['service.name', 'plant'],
        ['service.instance.id', 'gw'],
      ],
    );
    const metric = (name: string): Metric => scopeMetrics[0].metrics.find((m) => m.name === name) as Metric;
    const received = metric('anystack_link_receive_packets_total').sum;
    assert.deepEqual([received?.aggregationTemporality, received?.isMonotonic], [2, true]);
    const [point] = (received?.dataPoints ?? []) as readonly [Point];
    assert.deepEqual([point.attributes, point.asInt], [[{ key: 'dev', value: { stringValue: 'lo' } }], '0']);
    assert.match(point.timeUnixNano, /^\d{19}$/);
    assert.ok(BigInt(point.startTimeUnixNano as string) <= BigInt(point.timeUnixNano));
    assert.ok((metric('anystack_uptime_seconds').gauge?.dataPoints[0]?.asDouble ?? 0) > 0);
    collector.close();
    collector.closeAllConnections();
  });

  it('to a collector behind the stack', async () => {
    const [one, two] = await pair();
    stack = one;
    one.events.on('log', () => {}); // the collector hangs up in the end
    const collector = two.http.createServer().listen(4_318);
    one.services.start('otlp', { url: 'http://10.0.0.2:4318/v1/metrics', on: 'stack' });
    const [request] = await pushed(collector);
    assert.equal(request.socket.remoteAddress, '::ffff:10.0.0.1');
    collector.close();
    collector.closeAllConnections();
    await two.close();
  });

  it('a collector that is not there is told of once', async () => {
    stack = createStack({ services: { otlp: { url: 'http://127.0.0.1:1/', interval: 1 } } });
    const [level, message] = (await once(stack.events, 'log')) as [string, string];
    assert.deepEqual([level, /otlp: http:\/\/127.0.0.1:1\/: .*ECONNREFUSED/.test(message)], ['warn', true]);
    assert.throws(() => createStack({ services: { otlp: { url: 'http://:80:90' } } }), /services\.otlp\.url/);
  });
});
