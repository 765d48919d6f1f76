import { addNeighbor, type NeighborSpec, removeNeighbor } from '../api/neigh.js';
import { parseAddress } from '../base/address.js';
import { parseMac } from '../wire/ethernet.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

/** Neighbours by hand: they are not asked for, and do not expire. */
export const neighbors: Section<'neighbors'> = {
  key: 'neighbors',
  schema: {
    type: 'array',
    description: 'Neighbours by hand: not asked for, never forgotten.',
    items: {
      type: 'object',
      properties: {
        to: { type: 'string', description: 'The IP address.' },
        lladdr: { type: 'string', pattern: '^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$', description: 'a station address such as 02:00:00:00:00:01' },
        dev: { type: 'string', description: 'The interface.' },
      },
      required: ['to', 'lladdr', 'dev'],
      additionalProperties: false,
    },
  },
  check({ neighbors: list = [], interfaces = {} }) {
    for (const [i, { to, dev, lladdr }] of list.entries()) {
      const place = placeOf('neighbors', i);
      if (parseAddress(to) === null) wrong(`${place}.to`, `'${to}' is no address`);
      if ((parseMac(lladdr)?.[0] ?? 1) & 1) wrong(`${place}.lladdr`, `'${lladdr}' is no address of a single station`);
      if (interfaces[dev] === undefined) wrong(`${place}.dev`, `'${dev}' is no interface${hint(dev, Object.keys(interfaces))}`);
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    return changes(
      keyed(before),
      keyed(after),
      (n) => reversed(adding(n)),
      adding,
      (n) => !fresh.has(n.dev),
    );
  },
};

interface Placed extends NeighborSpec {
  readonly place: string;
}

function keyed({ neighbors: list = [] }: Config): Map<string, Placed> {
  return new Map(list.map((n, i) => [JSON.stringify([n.to, n.dev, n.lladdr]), { ...n, place: placeOf('neighbors', i) }]));
}

function adding(neighbor: Placed): Step {
  return {
    place: neighbor.place,
    run: ({ core }) => addNeighbor(core, neighbor),
    undo: ({ core }) => removeNeighbor(core, neighbor.to, neighbor.dev),
  };
}
