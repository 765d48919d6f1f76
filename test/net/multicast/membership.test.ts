import assert from 'node:assert/strict';
import { v4 } from '#src/base/address.js';
import { RecordType as R } from '#src/net/ip/group-reports.js';
import { Membership, SOURCES_MAX } from '#src/net/multicast/membership.js';
import { address } from '../../support/stacks.js';

const GMI = 260;
const sources = (letters: string): ReturnType<typeof address>[] => [...letters].map((x) => address(`10.0.0.${x.charCodeAt(0)}`));
const letters = (list: readonly { w3: number }[]): string =>
  list
    .map(({ w3 }) => String.fromCharCode(w3 & 255))
    .sort()
    .join('');

/** INCLUDE(ab), or EXCLUDE({ab}, {yz}), at 100. */
function made(mode: 'include' | 'exclude'): Membership {
  const m = new Membership(address('232.1.1.1'));
  if (mode === 'include') m.record(R.Allow, sources('ab'), 100, GMI);
  else {
    m.record(R.IsExclude, sources('yz'), 100, GMI);
    m.record(R.Allow, sources('ab'), 100, GMI);
  }
  return m;
}
/** The state in words: mode, what is forwarded for sure, what is not. */
const state = (m: Membership, now: number): string => {
  const all = 'abcyz';
  return `${m.mode} ${[...all].filter((x) => m.admits(sources(x)[0] as never, now)).join('')}`;
};

describe('RFC 9776 §6.4: what a router makes of records', () => {
  const rows: readonly (readonly ['include' | 'exclude', keyof typeof R, string, string, string, boolean])[] = [
    // state, record, its sources: what passes then, sources asked for, group asked for
    ['include', 'IsInclude', 'bc', 'include abc', '', false],
    ['include', 'IsExclude', 'bc', 'exclude abyz', '', false],
    ['include', 'Allow', 'bc', 'include abc', '', false],
    ['include', 'Block', 'bc', 'include ab', 'b', false],
    ['include', 'ToExclude', 'bc', 'exclude abyz', 'b', false],
    ['include', 'ToInclude', 'bc', 'include abc', 'a', false],
    ['exclude', 'IsInclude', 'by', 'exclude abcy', '', false],
    ['exclude', 'IsExclude', 'bcy', 'exclude abcz', '', false],
    ['exclude', 'Allow', 'by', 'exclude abcy', '', false],
    ['exclude', 'Block', 'bcy', 'exclude abc', 'bc', false],
    ['exclude', 'ToExclude', 'bcy', 'exclude abcz', 'bc', false],
    ['exclude', 'ToInclude', 'by', 'exclude abcy', 'a', true],
  ];
  for (const [mode, kind, list, after, asked, group] of rows)
    it(`${mode === 'include' ? 'INCLUDE (ab)' : 'EXCLUDE (ab, yz)'} and ${kind} (${list}): ${after}`, () => {
      const m = made(mode);
      const said = m.record(R[kind], sources(list), 110, GMI);
      assert.equal(state(m, 110), after);
      assert.deepEqual([letters(said.sources), said.group], [asked, group]);
    });

  it('§6.5: the group timer ends EXCLUDE: what is still wanted by name stays', () => {
    const m = made('exclude');
    m.record(R.Allow, sources('a'), 200, GMI);
    assert.equal(m.next, 360);
    assert(m.expire(360));
    assert.equal(state(m, 360), 'include a');
    assert(m.expire(460));
    assert(m.over);
  });

  it('§6.6.3: a query lowers timers; who answers has his time again, who does not goes', () => {
    const m = made('include');
    const asked = m.record(R.Block, sources('ab'), 110, GMI);
    m.lower(asked, 112);
    m.record(R.IsInclude, sources('a'), 111, GMI);
    assert.equal(letters(m.unanswered(asked, 112).sources), 'b');
    m.expire(112);
    assert.equal(state(m, 112), 'include a');
    assert(m.expire(500), 'late as well as on time');
    assert(m.over);
  });

  it('§7.3.2: with a listener of version 2 BLOCK and lists of TO_EX do not count, with one of version 1 no leaving either', () => {
    const m = made('exclude');
    m.older(2, 300);
    assert.deepEqual(m.record(R.Block, sources('a'), 110, GMI).sources, []);
    m.record(R.ToExclude, sources('a'), 110, GMI);
    assert.equal(state(m, 110), 'exclude abcyz');
    assert.equal(m.record(R.ToInclude, [], 110, GMI).group, true);
    m.older(1, 300);
    assert.equal(m.record(R.ToInclude, [], 110, GMI).group, false);
    assert.equal(m.record(R.ToInclude, [], 301, GMI).group, true, 'until they have been silent');
  });

  it(`sources are bounded at ${SOURCES_MAX}`, () => {
    const m = new Membership(address('232.1.1.1'));
    m.record(
      R.Allow,
      Array.from({ length: 300 }, (_, i) => v4(0x0a000000 + i)),
      100,
      GMI,
    );
    assert.equal(m.list(100).length, SOURCES_MAX);
  });
});
