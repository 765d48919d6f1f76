import type { OptionValues } from 'commander';
import type { RouteAnswer, RouteInfo } from '../api/route.js';
import { ask, tell, tellFamily } from './remote.js';
import { action, keywords, needed } from './words.js';

const flowWords = {
  dev: 'string',
  from: 'string',
  vrf: 'number',
  iif: 'string',
  mark: 'number',
  proto: 'number',
  sport: 'number',
  dport: 'number',
} as const;
const types = ['unicast', 'blackhole', 'unreachable', 'prohibit'];

/** `anystack route`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'add', 'del', 'replace', 'get'], 'route');
  if (verb === 'show') return tellFamily(options, (r: RouteInfo) => r.family === 6, lines, 'route.show');
  const typed = types.includes(words[1] ?? '') ? 1 : 0;
  const to = needed(words, 1 + typed, `route ${verb}`, verb === 'get' ? 'an address' : "'default' or a prefix such as 10.1.0.0/16");
  const rest = words.slice(2 + typed);
  if (verb === 'get') {
    const { from, ...where } = keywords(rest, flowWords, 'route get');
    return tell(options, answer, 'route.get', to, { ...where, ...(from === undefined ? {} : { src: from }) });
  }
  const spec = keywords(
    rest,
    { via: 'string', dev: 'string', metric: 'number', src: 'string', mtu: 'number', type: 'string', table: 'number', vrf: 'number' },
    `route ${verb}`,
  );
  await ask(options, `route.${verb}`, to, { ...spec, ...(typed === 1 ? { type: words[1] } : {}) });
  return 0;
}

function lines(routes: readonly RouteInfo[]): string[] {
  return routes.map((r) => {
    const parts = [r.type === undefined ? '' : r.type, r.to];
    for (const key of ['via', 'dev', 'src', 'metric', 'mtu', 'table', 'vrf'] as const) if (r[key] !== undefined) parts.push(`${key} ${r[key]}`);
    return [...parts, `proto ${r.protocol}`].filter((p) => p !== '').join(' ');
  });
}

function answer(r: RouteAnswer): string[] {
  const { neighbor } = r;
  const next = neighbor === undefined ? [] : [`    neighbour ${neighbor.lladdr ?? ''} ${neighbor.state}`.replace('  ', ' ')];
  const line = `${r.kind === 'unicast' ? '' : `${r.kind} `}${r.to}${r.via === r.to ? '' : ` via ${r.via}`} dev ${r.dev}${r.src === '' ? '' : ` src ${r.src}`} mtu ${r.mtu}`;
  if (r.prefix === undefined) return [line, ...next];
  const rule = r.rule === undefined ? 'no rule matched' : `rule ${r.rule}`;
  const metric = r.metric === undefined ? '' : ` metric ${r.metric}`;
  return [
    line,
    `    ${rule}, table ${r.table}: ${r.prefix}${metric} proto ${r.protocol}${r.ways === undefined ? '' : `, one of ${r.ways} ways`}`,
    ...next,
  ];
}
