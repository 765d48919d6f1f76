/** The Internet checksum over the lengths that occur. */
import { Address } from '#src/base/address.js';
import { fold, sum, update16 } from '#src/base/checksum.js';
import { transportChecksum } from '#src/wire/index.js';
import { measure } from './measure.js';

const view = new DataView(Uint8Array.from({ length: 70_000 }, (_, i) => i * 7).buffer);
const a = new Address(0x20010db8, 0, 0, 1);
const b = new Address(0x20010db8, 0, 0, 2);

for (const length of [20, 40, 576, 1_460, 65_535]) measure(`sum, ${length} octets`, (i) => sum(view, (i & 7) << 2, length));
measure('sum, 1,460 octets, odd start', (i) => sum(view, 1 + (i & 6), 1_460));
measure('fold', (i) => fold(i * 123_457));
measure('update16', (i) => update16(i & 0xffff, 7, 9));
measure('pseudoSum', (i) => transportChecksum.pseudoSum(a, b, 6, i));
