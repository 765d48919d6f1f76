import type { LinkInfo } from '../api/link.js';
import type { Status } from './status.js';

/** One metric with its samples: labels and value. */
export interface Family {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
}

/** All metrics of a status. */
export function families(status: Status): Family[] {
  const family = (name: string, kind: Family['kind'], help: string, samples: Family['samples']): Family => ({
    name: `anystack_${name}`,
    kind,
    help,
    samples,
  });
  const perLink = (pick: (link: LinkInfo) => number): Family['samples'] => status.links.map((link) => [{ dev: link.name }, pick(link)]);
  const byName = (label: string, values: Readonly<Record<string, number>>): Family['samples'] =>
    Object.entries(values).map(([name, n]) => [{ [label]: name }, n]);
  const links = [
    family(
      'link_up',
      'gauge',
      'Whether packets can leave the interface.',
      perLink((l) => (l.state === 'UP' ? 1 : 0)),
    ),
    family(
      'link_receive_packets_total',
      'counter',
      'Frames received.',
      perLink((l) => l.rxPackets),
    ),
    family(
      'link_receive_bytes_total',
      'counter',
      'Octets received.',
      perLink((l) => l.rxOctets),
    ),
    family(
      'link_transmit_packets_total',
      'counter',
      'Frames sent.',
      perLink((l) => l.txPackets),
    ),
    family(
      'link_transmit_bytes_total',
      'counter',
      'Octets sent.',
      perLink((l) => l.txOctets),
    ),
  ];
  return [
    family('uptime_seconds', 'gauge', 'Seconds since the stack started.', [[{}, status.uptime]]),
    ...links,
    family('drops_total', 'counter', 'Packets dropped, by reason.', byName('reason', status.drops)),
    family('counter_total', 'counter', 'Counters by their SNMP names.', byName('name', status.counters)),
    family('held', 'gauge', 'Packets, slots and chunks in use.', byName('what', status.held)),
    family('sockets', 'gauge', 'Sockets by kind and state.', tally(status.sockets.map(({ kind, state }) => ({ kind, state })))),
    family('neighbors', 'gauge', 'Neighbours by interface and state.', tally(status.neighbors.map(({ dev, state }) => ({ dev, state })))),
  ];
}

/** A status in Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats. */
export function prometheus(status: Status): string {
  const lines = families(status).flatMap(({ name, kind, help, samples }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${kind}`,
    ...samples.map(([labels, value]) => `${name}${braces(labels)} ${value}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function braces(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${quoted(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function tally(all: readonly Readonly<Record<string, string>>[]): Family['samples'] {
  const counts = new Map<string, [Readonly<Record<string, string>>, number]>();
  for (const labels of all) {
    const key = JSON.stringify(labels);
    counts.set(key, [labels, (counts.get(key)?.[1] ?? 0) + 1]);
  }
  return [...counts.values()];
}

const quoted = (text: string): string => text.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
