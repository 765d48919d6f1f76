import type { Hypercalls } from '../../hyper/hypercalls.js';
import { Flag, type Message, opcodeOf, PLAIN_MAX, type Question, Rcode } from '../../wire/dns.js';
import { canonicalName } from '../../wire/dns-name.js';
import { write } from '../../wire/dns-writer.js';

/** What we tell servers that we take over UDP: no fragments on any path of 1,280 octets (RFC 9715 §3.1, RFC 6891 §6.2.5). */
export const UDP_SIZE = 1_232;

/** How a question is asked. */
export interface AskOptions {
  readonly edns?: boolean;
  /** DNSSEC records are wanted, and not checked: the asker does that (RFC 3225, RFC 4035 §3.2.2). */
  readonly dnssecOk?: boolean;
  readonly checkingDisabled?: boolean;
  /** Letters in random case, as further bits that a forger has to guess (draft-vixie-dnsext-dns0x20). Servers that do not repeat them are heard no more. */
  readonly mixedCase?: boolean;
}

/** A question as it goes over the wire, and what its answer must show. */
export interface Request {
  readonly id: number;
  readonly question: Question;
  readonly exactCase: boolean;
  readonly octets: Uint8Array;
}

/** RFC 5452 §4.3, §9.2: the identifier is random, 16 bits of it. */
export function makeRequest(hyper: Hypercalls, asked: Question, options: AskOptions): Request {
  const id = randomUint16(hyper);
  const { edns = true, dnssecOk = false, checkingDisabled = false, mixedCase = false } = options;
  const question = mixedCase ? { ...asked, name: mixed(hyper, asked.name) } : asked;
  const into = new Uint8Array(PLAIN_MAX);
  const flags = Flag.Desired | (checkingDisabled ? Flag.Unchecked : 0);
  const end = write(into, 0, { id, flags, questions: [question], edns: edns ? { udpSize: UDP_SIZE, version: 0, dnssecOk } : null }, PLAIN_MAX);
  return { id, question, exactCase: mixedCase, octets: into.subarray(0, end) };
}

/** Is it an answer to this question? The port and the address of the server are the socket's affair. RFC 5452 §9.1. */
export function answers(message: Message, { id, question, exactCase }: Request): boolean {
  if (message.id !== id || (message.flags & Flag.Response) === 0 || opcodeOf(message.flags) !== 0) return false;
  const [repeated] = message.questions;
  // A server that could not read the question need not repeat it.
  if (repeated === undefined) return message.rcode === Rcode.FormErr || message.rcode === Rcode.NotImp;
  if (message.questions.length !== 1 || repeated.type !== question.type || repeated.class !== question.class) return false;
  return repeated.name === question.name || (!exactCase && canonicalName(repeated.name) === canonicalName(question.name));
}

/** 16 unpredictable bits. */
export function randomUint16(hyper: Hypercalls): number {
  const octets = new Uint8Array(2);
  hyper.random(octets);
  return ((octets[0] as number) << 8) | (octets[1] as number);
}

/** Escapes have no letters, so that they stay what they are. */
function mixed(hyper: Hypercalls, name: string): string {
  const bits = new Uint8Array(name.length);
  hyper.random(bits);
  return Array.from(name, (c, i) => ((bits[i] as number) & 1 ? c.toUpperCase() : c.toLowerCase())).join('');
}
