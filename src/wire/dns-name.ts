/**
 * Domain names (RFC 1035 §3.1, §4.1.4): labels of 1 to 63 octets, 255 in all, and pointers to a name written earlier.
 * As text they are as RFC 1035 §5.1 writes them, without the last dot; the root is ''.
 */

/** Octets of a name on the wire at most, its root label included. RFC 1035 §2.3.4. */
export const NAME_MAX = 255;
/** Octets of one label at most. */
export const LABEL_MAX = 63;
/** Pointers followed for one name: a name has at most 127 labels, and one pointer for each is more than any writer needs. */
const JUMPS_MAX = 127;

/** A name that was read: its text, and the octet behind it where it stood. */
export interface ReadName {
  readonly name: string;
  readonly end: number;
}

/**
 * The name at `at` of a message that is bytes[start, end); null when it runs past it, is too long, or a pointer does not
 * point to before its own name: each jump goes strictly back, so that there is no loop.
 */
export function readName(bytes: Uint8Array, start: number, at: number, end: number): ReadName | null {
  let name = '';
  let octets = 1;
  let after = -1;
  let limit = at;
  let jumps = 0;
  for (let p = at; p < end; ) {
    const length = bytes[p] as number;
    if (length === 0) return { name, end: after < 0 ? p + 1 : after };
    if (length >= 0xc0) {
      if (p + 1 >= end) return null;
      const target = start + (((length & 0x3f) << 8) | (bytes[p + 1] as number));
      if (after < 0) after = p + 2;
      if (target >= limit || ++jumps > JUMPS_MAX) return null;
      limit = p = target;
      continue;
    }
    octets += 1 + length;
    if (length > LABEL_MAX || octets > NAME_MAX || p + 1 + length > end) return null;
    name += name === '' ? '' : '.';
    for (let i = p + 1; i <= p + length; i++) name += characterOf(bytes[i] as number);
    p += 1 + length;
  }
  return null;
}

/** RFC 1035 §5.1: a dot or backslash that belongs to a label is escaped, and so is what does not print. */
function characterOf(octet: number): string {
  if (octet === 0x2e || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
  if (octet > 0x20 && octet < 0x7f) return String.fromCharCode(octet);
  return `\\${String(octet).padStart(3, '0')}`;
}

/** The octets of each label of a text, with or without the last dot; null when it is no name: an empty or overlong label, more than 255 octets, not ASCII. */
export function labelsOf(text: string): Uint8Array[] | null {
  if (text === '' || text === '.') return [];
  const labels: Uint8Array[] = [];
  let label: number[] = [];
  let octets = 1;
  const finish = (): boolean => {
    octets += 1 + label.length;
    if (label.length === 0 || label.length > LABEL_MAX || octets > NAME_MAX) return false;
    labels.push(Uint8Array.from(label));
    label = [];
    return true;
  };
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (!finish()) return null;
      if (i === text.length - 1) return labels;
      continue;
    }
    if (code === 0x5c) {
      const decimal = /^\d{3}/.exec(text.slice(i + 1, i + 4))?.[0];
      code = decimal === undefined ? text.charCodeAt(i + 1) : Number(decimal);
      i += decimal === undefined ? 1 : 3;
    }
    if (!(code <= 0xff) || (code > 0x7e && text.charCodeAt(i) > 0x7e)) return null;
    label.push(code);
  }
  return finish() ? labels : null;
}

/** A name in the form that compares: RFC 4343 §3 has ASCII letters agree in either case. Only for text that readName or labelsOf has seen. */
export const canonicalName = (name: string): string => (name.endsWith('.') && !name.endsWith('\\.') ? name.slice(0, -1) : name).toLowerCase();
