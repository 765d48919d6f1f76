import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seconds } from '#src/base/time.js';
import { exportEspKeys, ikeLine } from '#src/observe/ipsec-keys.js';
import { IkeNet } from '../support/ike.js';
import { wiretap } from '../support/ipsec.js';
import { needs } from '../support/requirements.js';

/** A pcap file of Ethernet frames. */
function pcap(frames: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(1, 20);
  const records = frames.map((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(i, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([head, ...records]);
}

describe('Wireshark reads our IKE and ESP with the keys we export', function () {
  this.timeout(30_000);
  before(function () {
    needs(this, 'tools:tshark');
  });

  for (const [ike, esp] of [
    ['aes128gcm16-prfsha256-x25519', 'aes128gcm16-x25519-noesn'],
    ['aes256-sha256-modp2048', 'aes256-sha256-modp2048-noesn'],
    ['aes256gcm16-prfsha384-ecp384', 'aes128-sha1-ecp256-noesn'],
  ] as const) {
    it(`${ike} / ${esp}: all decrypted, no bad ICV, nothing malformed`, () => {
      const t = new IkeNet({ link: { offloads: 0 } });
      const folder = mkdtempSync(join(tmpdir(), 'keys-'));
      const espLines: string[] = [];
      const ikeLines: string[] = [];
      for (const side of [t.a, t.b])
        side.service.ike.events = { ...side.service.ike.events, keys: (sa) => void ikeLines.push(ikeLine(sa) ?? 'none') };
      const stop = exportEspKeys(t.a.host.stack.ipsec, (line) => espLines.push(line));
      const frames: Uint8Array[] = [];
      for (const host of [t.a, t.b]) {
        const taken = wiretap(host.host.stack);
        taken.push = (...more) => frames.push(...more);
      }
      const [ca] = t.both({ ike: [ike], esp: [esp] });
      const sa = t.up(ca);
      assert.ok(t.ping());
      sa.children[0]?.rekey();
      t.run(seconds(1));
      assert.ok(t.ping(1_200));
      stop();
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'esp_sa'), `${espLines.join('\n')}\n`);
      writeFileSync(join(folder, 'ikev2_decryption_table'), `${[...new Set(ikeLines)].join('\n')}\n`);
      writeFileSync(join(folder, 'x.pcap'), pcap(frames));
      t.end();
      const options = [
        '-o',
        'esp.enable_encryption_decode:TRUE',
        '-o',
        'esp.enable_authentication_check:TRUE',
        '-o',
        'ip.check_checksum:TRUE',
        '-o',
        'udp.check_checksum:TRUE',
      ];
      const tshark = (...args: string[]): string =>
        execFileSync('tshark', ['-r', join(folder, 'x.pcap'), ...options, ...args], {
          encoding: 'utf8',
          env: { ...process.env, WIRESHARK_CONFIG_DIR: folder },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
      try {
        assert.equal(tshark('-Y', 'esp.icv_bad == 1 || _ws.malformed || ip.checksum.status == 0'), '');
        const inner = tshark('-Y', 'esp && udp.port == 7').trim().split('\n').length;
        assert.equal(inner, 4, tshark());
        // The identities stand inside the encrypted payload.
        assert.match(tshark('-Y', 'isakmp', '-V'), /a\.test/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
