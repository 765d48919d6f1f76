import { interfaceNamed } from '../api/link.js';
import { seconds } from '../base/time.js';
import { defaultTiming, type GroupTiming } from '../net/multicast/querier.js';
import type { Stack } from '../net/stack.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, type Schema, wrong } from './schema.js';
import type { Section, Step } from './section.js';

/** Forwarding of multicast by what listeners say: an IGMP and MLD proxy (RFC 4605). Spans in seconds. */
export interface MulticastConfig {
  /** Towards the senders. */
  readonly upstream: string;
  /** Towards the listeners. */
  readonly downstreams: readonly string[];
  /** Packets lost in a row that do no harm, [1, 7]. Default 2. */
  readonly robustness?: number;
  /** Default 125. */
  readonly queryInterval?: number;
  /** Listeners spread their answers over it, below queryInterval. Default 10. */
  readonly responseInterval?: number;
  /** The same when a listener leaves. Default 1. */
  readonly lastListenerInterval?: number;
}

const name: Schema = { type: 'string', description: 'An interface of this configuration.' };
const span = (least: number, most: number, description: string): Schema => ({ type: 'number', minimum: least, maximum: most, description });

/** The proxy. Applied as a whole. */
export const multicast: Section<'multicast'> = {
  key: 'multicast',
  schema: {
    type: 'object',
    description: 'Forwarding of multicast by what listeners say: an IGMP and MLD proxy (RFC 4605).',
    properties: {
      upstream: { ...name, description: 'Towards the senders.' },
      downstreams: { type: 'array', items: name, minItems: 1, maxItems: 64, description: 'Towards the listeners.' },
      robustness: { type: 'integer', minimum: 1, maximum: 7, description: 'Packets lost in a row that do no harm. Default 2.' },
      queryInterval: span(1, 31_744, 'Seconds. Default 125.'),
      responseInterval: span(0.1, 30, 'Seconds over which listeners spread their answers. Default 10.'),
      lastListenerInterval: span(0.1, 25, 'The same when a listener leaves. Default 1.'),
    },
    required: ['upstream', 'downstreams'],
    additionalProperties: false,
  },
  check({ multicast: config, interfaces = {} }) {
    if (config === undefined) return;
    const known = Object.keys(interfaces);
    const all = [config.upstream, ...config.downstreams];
    for (const [i, iface] of all.entries()) {
      const place = i === 0 ? 'multicast.upstream' : `multicast.downstreams[${i - 1}]`;
      if (!known.includes(iface)) wrong(place, `'${iface}' is no interface${hint(iface, known)}`);
      if (all.indexOf(iface) !== i) wrong(place, `'${iface}' has another part already`);
    }
    const { queryInterval, responseInterval } = timingOf(config);
    if (responseInterval >= queryInterval) wrong('multicast.responseInterval', 'is to be less than queryInterval (RFC 9776 §8.3)');
  },
  difference(before, after) {
    const { multicast: old } = before;
    const { multicast: now } = after;
    const fresh = replaced(before, after);
    const moved = [old?.upstream ?? '', ...(old?.downstreams ?? [])].some((iface) => fresh.has(iface));
    if (!moved && JSON.stringify(old) === JSON.stringify(now)) return { remove: [], add: [] };
    return { remove: old === undefined ? [] : [setting(undefined, old)], add: now === undefined ? [] : [setting(now, undefined)] };
  },
};

function timingOf(config: MulticastConfig): GroupTiming {
  const { robustness = defaultTiming.robustness, queryInterval, responseInterval, lastListenerInterval } = config;
  return {
    robustness,
    queryInterval: queryInterval === undefined ? defaultTiming.queryInterval : seconds(queryInterval),
    responseInterval: responseInterval === undefined ? defaultTiming.responseInterval : seconds(responseInterval),
    lastListenerInterval: lastListenerInterval === undefined ? defaultTiming.lastListenerInterval : seconds(lastListenerInterval),
  };
}

const setting = (to: Config['multicast'], back: Config['multicast']): Step => ({
  place: 'multicast',
  run: ({ core }) => put(core, to),
  undo: ({ core }) => put(core, back),
});

function put(core: Stack, config: MulticastConfig | undefined): void {
  if (config === undefined) {
    core.proxyGroups(null);
    return;
  }
  const upstream = interfaceNamed(core, config.upstream, 'multicast');
  const downstreams = config.downstreams.map((iface) => interfaceNamed(core, iface, 'multicast'));
  core.proxyGroups({ upstream, downstreams, timing: timingOf(config) });
}
