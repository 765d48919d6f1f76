/** TCP options between a script's words and octets, in the order they stand, padding included. */
import { Kind } from '../wire/tcp-options.js';
import type { TcpOption } from './ast.js';

/** Octets of the options, filled up to a multiple of four with End. */
export function encodeOptions(options: readonly TcpOption[]): Uint8Array {
  const octets = options.flatMap(encodeOption);
  while (octets.length % 4 !== 0) octets.push(Kind.End);
  return Uint8Array.from(octets);
}

const word = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

function encodeOption(option: TcpOption): number[] {
  switch (option.kind) {
    case 'nop':
      return [Kind.Nop];
    case 'eol':
      return [Kind.End];
    case 'mss':
      return [Kind.Mss, 4, option.octets >> 8, option.octets & 255];
    case 'wscale':
      return [Kind.WindowScale, 3, option.shift];
    case 'sackOK':
      return [Kind.SackPermitted, 2];
    case 'sack':
      return [Kind.Sack, 2 + 8 * option.blocks.length, ...option.blocks.flatMap(([left, right]) => [...word(left), ...word(right)])];
    case 'TS':
      return [Kind.Timestamps, 10, ...word(option.val ?? 0), ...word(option.ecr)];
    case 'other':
      return [option.number, 2 + option.data.length, ...option.data];
  }
}

/** The options in [at, end) of a header. What cannot be read on is one option of kind 'other' with what is left. */
export function decodeOptions(view: DataView, at: number, end: number): TcpOption[] {
  const options: TcpOption[] = [];
  while (at < end) {
    const number = view.getUint8(at);
    const length = number === Kind.End || number === Kind.Nop ? 1 : at + 1 < end ? view.getUint8(at + 1) : 0;
    if (length === 0 || (length === 1 && number > Kind.Nop) || at + length > end) {
      options.push({ kind: 'other', number, data: octetsOf(view, at, end) });
      break;
    }
    options.push(decodeOption(view, at, number, length));
    at += length;
  }
  return options;
}

function decodeOption(view: DataView, at: number, number: number, length: number): TcpOption {
  if (number === Kind.End) return { kind: 'eol' };
  if (number === Kind.Nop) return { kind: 'nop' };
  if (number === Kind.Mss && length === 4) return { kind: 'mss', octets: view.getUint16(at + 2) };
  if (number === Kind.WindowScale && length === 3) return { kind: 'wscale', shift: view.getUint8(at + 2) };
  if (number === Kind.SackPermitted && length === 2) return { kind: 'sackOK' };
  if (number === Kind.Timestamps && length === 10)
    return { kind: 'TS', val: view.getUint32(at + 2), ecr: view.getUint32(at + 6), absoluteEcr: false };
  if (number === Kind.Sack && length > 2 && (length - 2) % 8 === 0) {
    const blocks: [number, number][] = [];
    for (let b = at + 2; b < at + length; b += 8) blocks.push([view.getUint32(b), view.getUint32(b + 4)]);
    return { kind: 'sack', blocks };
  }
  return { kind: 'other', number, data: octetsOf(view, at + 2, at + length) };
}

const octetsOf = (view: DataView, at: number, end: number): Uint8Array => new Uint8Array(view.buffer, view.byteOffset + at, end - at).slice();

/** As a script writes it. */
export function formatOption(option: TcpOption): string {
  switch (option.kind) {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return option.kind;
    case 'mss':
      return `mss ${option.octets}`;
    case 'wscale':
      return `wscale ${option.shift}`;
    case 'sack':
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(' ')}`;
    case 'TS':
      return `TS val ${option.val ?? '...'} ecr ${option.ecr}`;
    case 'other':
      return `gen-${option.number} ${[...option.data].map((octet) => octet.toString(16).padStart(2, '0')).join('')}`;
  }
}
