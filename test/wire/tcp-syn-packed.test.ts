import assert from 'node:assert/strict';
import { TcpOptions } from '#src/wire/tcp-options.js';
import { putPackedSynOptions } from '#src/wire/tcp-syn-packed.js';

function packed(set: (options: TcpOptions) => void): string {
  const options = new TcpOptions();
  options.clear();
  set(options);
  const bytes = new Uint8Array(60).fill(0xee);
  const end = putPackedSynOptions(new DataView(bytes.buffer), 4, options);
  assert.equal(end % 4, 0);
  return Buffer.from(bytes.subarray(4, end)).toString('hex');
}

describe('TCP: options of a SYN as BSD lays them out', () => {
  it('all of them fill 20 octets with one NOP', () => {
    const hex = packed((o) => {
      o.mss = 1460;
      o.windowScale = 6;
      o.sackPermitted = true;
      o.timestamps = true;
      o.tsVal = 1;
      o.tsEcr = 2;
    });
    assert.equal(hex, '020405b4' + '01030306' + '0402' + '080a0000000100000002');
  });

  it('End and zeros behind what does not fill a word', () => {
    const hex = packed((o) => {
      o.mss = 1460;
      o.sackPermitted = true;
    });
    assert.equal(hex, '020405b4' + '04020000');
  });

  it('timestamps stand two octets behind a word, whatever comes before', () => {
    assert.equal(
      packed((o) => {
        o.mss = 536;
        o.timestamps = true;
      }),
      '02040218' + '0101' + '080a' + '0000000000000000',
    );
  });

  it('a cookie comes last', () => {
    const hex = packed((o) => {
      o.mss = 1460;
      o.cookieLength = 0;
    });
    assert.equal(hex, '020405b4' + '22020000');
  });

  it('nothing is nothing', () =>
    assert.equal(
      packed(() => {}),
      '',
    ));
});
