import assert from 'node:assert/strict';
import { Bench, checksum, concat, hex } from '../../support/wire.js';
import { Bench6, octets6 } from '../../support/wire6.js';

describe('groups: queries that must not be believed', () => {
  it('MLD: from far away, without alert, from a global address, to a wrong group, cut short', () => {
    const t = new Bench6();
    t.wait(2);
    t.mld();
    t.dropped({});
    const query = (
      fields: Record<string, unknown>,
      alert: boolean,
      message = concat(hex('8200 0000 0064 0000'), octets6('::'), hex('02 7d 0000')),
    ): void => {
      const src = (fields['src'] as string) ?? 'fe80::5';
      const dst = (fields['dst'] as string) ?? 'ff02::1';
      const m = message.slice();
      const sum = checksum(concat(octets6(src), octets6(dst), Uint8Array.from([0, 0, 0, m.length, 0, 0, 0, 58]), m));
      m.set([sum >> 8, sum & 255], 2);
      t.ip6({ src, dst, hops: 1, ...fields, next: alert ? 0 : 58, payload: alert ? concat(hex('3a00 0502 0000 0100'), m) : m }, hex('333300000001'));
    };
    query({ hops: 2 }, true);
    query({}, false);
    query({ src: 'fd00::5' }, true);
    query({ dst: 'ff02::1:ff00:1' }, true);
    t.dropped({ MldNotLocal: 4 });
    query({}, true, hex('8200 0000 0064 0000'));
    t.dropped({ MldTruncated: 1 });
    t.wait(12);
    assert.deepEqual(t.mld(), []);
    t.end();
  });

  it('IGMP: from far away, without alert, to a wrong group, of a wrong checksum, cut short', () => {
    const t = new Bench();
    const query = (over: Record<string, unknown>, message = hex('1164 ee1e 0000 0000 027d 0000'), sum = true): void => {
      const m = message.slice();
      m.set([0, 0], 2);
      const c = checksum(m);
      if (sum) m.set([c >> 8, c & 255], 2);
      t.ip({ src: '10.0.0.5', dst: '224.0.0.1', ttl: 1, protocol: 2, options: '94040000', payload: m, ...over }, hex('01005e000001'));
    };
    query({ ttl: 2 });
    query({ options: '' });
    t.dropped({ IgmpNotLocal: 2 });
    query({}, undefined, false);
    t.dropped({ IgmpBadChecksum: 1 });
    query({}, hex('1164 0000 0000'));
    t.dropped({ IgmpTruncated: 1 });
    t.quiet();
    t.end();
  });
});
