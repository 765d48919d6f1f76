import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import { pcap, pcapng } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';

interface Read {
  readonly time: number;
  readonly linkType: number;
  readonly octets: string;
  readonly originalLength: number;
  readonly comment: string;
  readonly interfaceIndex: number;
}

/** All frames of a file, and what the reader complains of. */
function readAll(v: DataView): { frames: Read[]; problem: string } {
  const reader = pcapng.openCapture(v);
  if (reader === null) return { frames: [], problem: 'no capture' };
  const frame = new pcap.CapturedFrame();
  const frames: Read[] = [];
  while (reader.next(frame)) {
    const { time, linkType, originalLength, comment, interfaceIndex } = frame;
    frames.push({ time, linkType, octets: hex(v, frame.start, frame.end), originalLength, comment, interfaceIndex });
  }
  return { frames, problem: reader.problem };
}

/** A file as we write it: two interfaces, packets of all paddings, with and without a comment. */
function file(): DataView {
  const application = pcapng.text('anystack');
  const name = pcapng.text('eth0');
  const comment = pcapng.text('dropped: UdpNoPort ✓');
  const secret = octets('0102030405');
  let length = pcapng.sectionLength(application) + 2 * pcapng.interfaceLength(name) + pcapng.secretsLength(secret);
  for (let n = 0; n < 6; n++) length += pcapng.packetLength(n, n % 2 === 0 ? comment : undefined);
  const v = new DataView(new ArrayBuffer(length));
  let at = pcapng.putSection(v, 0, application);
  at = pcapng.putInterface(v, at, pcap.LinkType.Ethernet, 262_144, name);
  at = pcapng.putInterface(v, at, pcap.LinkType.Raw, 0, name);
  at = pcapng.putSecrets(v, at, pcapng.Secrets.Tls, secret);
  for (let n = 0; n < 6; n++) {
    const data = pcapng.putPacket(v, at, n % 2, 1_700_000_000_123_456 + n, n, 1_000 + n);
    for (let i = 0; i < n; i++) v.setUint8(data + i, 0xa0 + i);
    at = pcapng.putPacketEnd(v, at, pcapng.Direction.Inbound, n % 2 === 0 ? comment : undefined);
  }
  assert.equal(at, length);
  return v;
}

describe('wire/pcapng', () => {
  it('reads what it writes: times, lengths, comments, interfaces', () => {
    const { frames, problem } = readAll(file());
    assert.equal(problem, '');
    assert.deepEqual(
      frames,
      [0, 1, 2, 3, 4, 5].map((n) => ({
        time: 1_700_000_000_123_456 + n,
        linkType: n % 2 === 0 ? 1 : 101,
        octets: 'a0a1a2a3a4'.slice(0, 2 * n),
        originalLength: 1_000 + n,
        comment: n % 2 === 0 ? 'dropped: UdpNoPort ✓' : '',
        interfaceIndex: n % 2,
      })),
    );
  });

  it('draft-ietf-opsawg-pcapng §4.1: a section header as other programs expect it', () => {
    assert.equal(
      hex(file(), 0, 44),
      '0a0d0d0a' + '2c000000' + '4d3c2b1a' + '01000000' + 'ffffffffffffffff' + '04000800' + '616e79737461636b' + '00000000' + '2c000000',
    );
  });

  it('reads big-endian sections, nanoseconds, powers of two, unknown and simple blocks', () => {
    const v = view(`
      0a0d0d0a 0000001c 1a2b3c4d 00010000 ffffffffffffffff 0000001c
      00000001 00000020 00010000 00000003 00090001 09000000 00000000 00000020
      00000001 00000020 00010000 00000000 00090001 8a000000 00000000 00000020
      00000bad 00000010 deadbeef 00000010
      00000006 00000024 00000000 00000000 000f4240 00000001 00000001 ff000000 00000024
      00000006 00000024 00000001 00000000 00000800 00000001 00000001 fe000000 00000024
      00000003 00000014 00000008 01020304 00000014`);
    const { frames, problem } = readAll(v);
    assert.equal(problem, '');
    assert.deepEqual(
      frames.map((f) => f.octets),
      ['ff', 'fe', '010203'],
    );
    assert.ok(Math.abs((frames[0] as Read).time - 1_000) < 1e-9);
    assert.equal(frames[1]?.time, 2_000_000);
    assert.equal(frames[2]?.originalLength, 8);
  });

  it('a broken block ends the reading with its place', () => {
    const good = new Uint8Array(file().buffer);
    assert.match(readAll(viewOf(good.subarray(0, good.length - 1))).problem, /^the block at octet \d+ is broken$/);
    assert.equal(readAll(viewOf(good.subarray(0, 11))).problem, 'no capture');
    assert.match(readAll(view('0a0d0d0a 1c000000 00000000 00000000 00000000 00000000 1c000000')).problem, /octet 0/);
    assert.match(readAll(view('0a0d0d0a 0d000000 4d3c2b1a 00000000')).problem, /octet 0/);
    const section = '0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000';
    for (const block of [
      '06000000 20000000 00000000 00000000 00000000 00000000 00000000 20000000',
      '01000000 0c000000 0c000000',
      '03000000 10000000 00000000 10000000',
      '06000000 0c000000 0c000000',
    ]) {
      assert.match(readAll(view(section + block)).problem, /octet 28/, block);
    }
  });
});

describe('wire/pcap', () => {
  const little = 'd4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000  01000000 02000000 03000000 40000000 aabbcc';

  it('draft-ietf-opsawg-pcap §4: both byte orders, microseconds and nanoseconds', () => {
    assert.deepEqual(readAll(view(little)), {
      frames: [{ time: 1_000_002, linkType: 1, octets: 'aabbcc', originalLength: 64, comment: '', interfaceIndex: 0 }],
      problem: '',
    });
    const big = view('a1b23c4d 00020004 00000000 00000000 0000ffff 00000065  00000001 000003e8 00000001 00000001 aa');
    assert.deepEqual(
      readAll(big).frames.map((f) => [f.time, f.linkType]),
      [[1_000_001, 101]],
    );
  });

  it('a packet past the end is told', () => {
    const bytes = octets(little);
    for (let end = 25; end < bytes.length; end++) assert.match(readAll(viewOf(bytes.subarray(0, end))).problem, /octet 24 runs past the end/);
    assert.deepEqual(readAll(viewOf(bytes.subarray(0, 24))), { frames: [], problem: '' });
    assert.equal(readAll(viewOf(bytes.subarray(0, 23))).problem, 'no capture');
  });
});

describe('capture files', () => {
  it('mutated: never throw, never end past the file, always end', () => {
    const prng = new Prng(47);
    const seeds = [
      new Uint8Array(file().buffer),
      octets('d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000 01000000 02000000 03000000 40000000 aabbcc'),
    ];
    for (let n = 0; n < 10_000; n++) {
      const bytes = (seeds[n % 2] as Uint8Array).slice(0, prng.below(8) === 0 ? prng.below(500) : undefined);
      for (let i = prng.below(4); i >= 0 && bytes.length > 0; i--) bytes[prng.below(bytes.length)] = prng.below(256);
      const v = viewOf(bytes);
      const reader = pcapng.openCapture(v);
      const frame = new pcap.CapturedFrame();
      let frames = 0;
      while (reader?.next(frame)) {
        assert.ok(frame.start <= frame.end && frame.end <= bytes.length && ++frames < 1_000);
      }
    }
  });
});
