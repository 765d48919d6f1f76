import type { LinkInfo } from '../api/link.js';
import type { Status } from './status.js';

/** A status in Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats. */
export function prometheus(status: Status): string {
  const lines: string[] = [];
  const family = (name: string, type: 'counter' | 'gauge', help: string, samples: readonly (readonly [labels: string, value: number])[]): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map(([labels, value]) => `${name}${labels} ${value}`));
  };
  const perLink = (pick: (link: LinkInfo) => number): [string, number][] => status.links.map((link) => [`{dev="${quoted(link.name)}"}`, pick(link)]);

  family('anystack_uptime_seconds', 'gauge', 'Seconds since the stack started.', [['', status.uptime]]);
  family(
    'anystack_link_up',
    'gauge',
    'Whether packets can leave the interface.',
    perLink((l) => (l.state === 'UP' ? 1 : 0)),
  );
  family(
    'anystack_link_receive_packets_total',
    'counter',
    'Frames received.',
    perLink((l) => l.rxPackets),
  );
  family(
    'anystack_link_receive_bytes_total',
    'counter',
    'Octets received.',
    perLink((l) => l.rxOctets),
  );
  family(
    'anystack_link_transmit_packets_total',
    'counter',
    'Frames sent.',
    perLink((l) => l.txPackets),
  );
  family(
    'anystack_link_transmit_bytes_total',
    'counter',
    'Octets sent.',
    perLink((l) => l.txOctets),
  );
  family(
    'anystack_drops_total',
    'counter',
    'Packets dropped, by reason.',
    Object.entries(status.drops).map(([reason, n]) => [`{reason="${reason}"}`, n]),
  );
  family(
    'anystack_counter_total',
    'counter',
    'Counters by their SNMP names.',
    Object.entries(status.counters).map(([name, n]) => [`{name="${name}"}`, n]),
  );
  family(
    'anystack_held',
    'gauge',
    'Packets, slots and chunks in use.',
    Object.entries(status.held).map(([what, n]) => [`{what="${what}"}`, n]),
  );
  family('anystack_sockets', 'gauge', 'Sockets by kind and state.', tally(status.sockets.map((s) => `{kind="${s.kind}",state="${s.state}"}`)));
  family(
    'anystack_neighbors',
    'gauge',
    'Neighbours by interface and state.',
    tally(status.neighbors.map((n) => `{dev="${quoted(n.dev)}",state="${n.state}"}`)),
  );
  return `${lines.join('\n')}\n`;
}

function tally(labels: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts];
}

const quoted = (text: string): string => text.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
