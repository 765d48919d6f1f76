/** Proposals as swanctl writes them ('aes128gcm16-prfsha256-x25519'), as IKE sends them, and the choice among them. */
import { ConfigError } from '../../../base/errors.js';
import type { MacAlgorithm } from '../../../hyper/crypto.js';
import { type Proposal, SaProtocol, type Transform, TransformType } from '../../../wire/ike-sa.js';
import { algorithm, type Cipher, ciphers, type Integrity, integrities, type Suite, suiteOf } from '../algorithms.js';

/** A pseudorandom function. RFC 7296 §3.3.2, Transform Type 2. */
export interface Prf {
  readonly name: string;
  readonly id: number;
  readonly mac: MacAlgorithm;
  /** Octets of its output, which are also those of its preferred key. */
  readonly length: number;
}

/** A key exchange method. Transform Type 4. */
export interface Group {
  readonly name: string;
  readonly id: number;
  /** Under which name Crypto.request knows it. */
  readonly algorithm: string;
  /** Octets of the initiator's value, and of the responder's. */
  readonly length: number;
  readonly answer: number;
  /** Too weak to be offered without being asked for: RFC 8247 §2.4. */
  readonly weak: boolean;
}

const prf = (name: string, id: number, mac: MacAlgorithm, length: number): [string, Prf] => [name, { name, id, mac, length }];
/** By swanctl's names. */
export const prfs: ReadonlyMap<string, Prf> = new Map([
  prf('prfsha256', 5, 'hmac-sha256', 32),
  prf('prfsha384', 6, 'hmac-sha384', 48),
  prf('prfsha512', 7, 'hmac-sha512', 64),
  prf('prfsha1', 2, 'hmac-sha1', 20),
]);

const group = (name: string, id: number, algorithmName: string, length: number, weak = false, answer = length): [string, Group] => [
  name,
  { name, id, algorithm: algorithmName, length, answer, weak },
];
/** By swanctl's names. Those of RFC 8247 §2.4, and group 2. */
export const groups: ReadonlyMap<string, Group> = new Map([
  group('x25519', 31, 'x25519', 32),
  group('curve25519', 31, 'x25519', 32),
  group('ecp256', 19, 'ecp256', 64),
  group('ecp384', 20, 'ecp384', 96),
  group('ecp521', 21, 'ecp521', 132),
  group('modp2048', 14, 'modp2048', 256),
  group('modp3072', 15, 'modp3072', 384),
  group('modp4096', 16, 'modp4096', 512),
  group('modp1024', 2, 'modp1024', 128, true),
]);

export const groupOf = (id: number): Group | null => [...groups.values()].find((g) => g.id === id) ?? null;

/** RFC 8247 §2.4: group 2 is SHOULD NOT, 1 and 22 MUST NOT. */
const refusedGroups: Readonly<Record<string, string>> = {
  modp768: 'group 1 is MUST NOT (RFC 8247 §2.4)',
  modp1024s160: 'group 22 is MUST NOT (RFC 8247 §2.4)',
};

/** What one proposal line allows, in the order of its text. */
export interface ProposalSpec {
  readonly ciphers: readonly Cipher[];
  readonly integrities: readonly Integrity[];
  readonly prfs: readonly Prf[];
  readonly groups: readonly Group[];
  /** Of a child: with, without extended sequence numbers. */
  readonly esn: readonly boolean[];
}

/** What was agreed on for an IKE SA. */
export interface IkeSuite {
  readonly suite: Suite;
  readonly prf: Prf;
  readonly group: Group;
}

/** What was agreed on for a child SA. */
export interface ChildSuite {
  readonly suite: Suite;
  /** Null: its keys come from the IKE SA's. */
  readonly group: Group | null;
  readonly esn: boolean;
}

/** Reads one proposal. `weak`: group 2 is allowed. Throws ConfigError. */
export function parseProposal(text: string, protocol: 'ike' | 'esp', weak = false): ProposalSpec {
  const spec = { ciphers: [] as Cipher[], integrities: [] as Integrity[], prfs: [] as Prf[], groups: [] as Group[], esn: [] as boolean[] };
  for (const name of text.split('-')) {
    const g = groups.get(name);
    if (g !== undefined) {
      if (g.weak && !weak) throw new ConfigError(`proposal ${text}: ${name} is SHOULD NOT (RFC 8247 §2.4); "allowWeak" permits it`);
      spec.groups.push(g);
    } else if (refusedGroups[name] !== undefined) throw new ConfigError(`proposal ${text}: ${refusedGroups[name]}`);
    else if (prfs.has(name)) spec.prfs.push(prfs.get(name) as Prf);
    else if (name === 'esn' || name === 'noesn') spec.esn.push(name === 'esn');
    else {
      const found = algorithm(name);
      if ('encr' in found) spec.ciphers.push(found);
      else spec.integrities.push(found);
    }
  }
  const aeads = spec.ciphers.filter((c) => c.icvLength > 0).length;
  if (spec.ciphers.length === 0) throw new ConfigError(`proposal ${text}: no cipher`);
  // RFC 7296 §3.3: an AEAD goes with no integrity algorithm, so the two kinds do not share a proposal.
  if (aeads > 0 && aeads < spec.ciphers.length) throw new ConfigError(`proposal ${text}: AEADs and other ciphers need proposals of their own`);
  for (const c of spec.ciphers) suiteOf(c, spec.integrities[0] ?? null);
  if (protocol === 'ike') {
    if (spec.ciphers.some((c) => c.clear || c.ivLength === 0)) throw new ConfigError(`proposal ${text}: not for IKE`);
    if (spec.prfs.length === 0) for (const i of spec.integrities) if (prfs.has(`prf${i.name}`)) spec.prfs.push(prfs.get(`prf${i.name}`) as Prf);
    if (spec.prfs.length === 0) throw new ConfigError(`proposal ${text}: no pseudorandom function, e.g. prfsha256`);
    if (spec.groups.length === 0) throw new ConfigError(`proposal ${text}: no key exchange method, e.g. x25519`);
  } else if (spec.esn.length === 0) spec.esn.push(true, false);
  return spec;
}

/** Preferred first. RFC 8247 §2 has all of these as MUST or SHOULD. */
export const DEFAULT_IKE: readonly string[] = [
  'aes128gcm16-aes256gcm16-chacha20poly1305-prfsha256-prfsha384-x25519-ecp256-ecp384-modp2048-modp3072',
  'aes128-aes256-sha256-sha384-x25519-ecp256-ecp384-modp2048-modp3072',
];
/** Without a group in the first exchange, with one when rekeying. */
export const DEFAULT_ESP: readonly string[] = [
  'aes128gcm16-aes256gcm16-chacha20poly1305-x25519-ecp256-modp2048',
  'aes128-aes256-sha256-sha384-x25519-ecp256-modp2048',
];

/** As IKE sends it. `withGroups` is false in IKE_AUTH, whose child has no key exchange of its own. */
export function offer(specs: readonly ProposalSpec[], protocol: number, spi: Uint8Array, withGroups: boolean): Proposal[] {
  return specs.map((spec, i) => {
    const transforms: Transform[] = [];
    for (const c of spec.ciphers) transforms.push({ type: TransformType.Encr, id: c.encr, keyBits: keyBitsOf(c) });
    if (protocol === SaProtocol.Ike) for (const p of spec.prfs) transforms.push({ type: TransformType.Prf, id: p.id, keyBits: 0 });
    for (const a of spec.integrities) transforms.push({ type: TransformType.Integ, id: a.auth, keyBits: 0 });
    if (withGroups) for (const g of spec.groups) transforms.push({ type: TransformType.Group, id: g.id, keyBits: 0 });
    if (protocol !== SaProtocol.Ike) for (const esn of spec.esn) transforms.push({ type: TransformType.Esn, id: esn ? 1 : 0, keyBits: 0 });
    return { number: i + 1, protocol, spi, transforms };
  });
}

/** RFC 7296 §3.3.5: AES has a key length attribute, ChaCha20 and NULL have none. */
const keyBitsOf = (c: Cipher): number => (c.cipher.startsWith('aes') ? c.keyLength * 8 : 0);

/** A proposal with one transform of each type, and what it means here. */
export interface Choice {
  readonly proposal: Proposal;
  readonly suite: Suite;
  readonly prf: Prf | null;
  readonly group: Group | null;
  readonly esn: boolean;
}

/**
 * Chooses from what the peer offers: the first of its proposals that one of ours allows, and of each transform type the one
 * we prefer; the group whose public value came along (`preferred`), when both allow it. RFC 7296 §2.7.
 */
export function choose(
  offered: readonly Proposal[],
  specs: readonly ProposalSpec[],
  protocol: number,
  withGroups: boolean,
  preferred: number,
): Choice | null {
  for (const proposal of offered) {
    if (proposal.protocol !== protocol) continue;
    for (const spec of specs) {
      const choice = match(proposal, spec, protocol, withGroups, preferred);
      if (choice !== null) return choice;
    }
  }
  return null;
}

function match(proposal: Proposal, spec: ProposalSpec, protocol: number, withGroups: boolean, preferred: number): Choice | null {
  const has = (type: number, id: number, keyBits = 0): Transform | undefined =>
    proposal.transforms.find((t) => t.type === type && t.id === id && t.keyBits === keyBits);
  const offersAny = (type: number): boolean => proposal.transforms.some((t) => t.type === type && t.id !== 0);
  const chosen: Transform[] = [];
  const cipher = spec.ciphers.find((c) => has(TransformType.Encr, c.encr, keyBitsOf(c)) !== undefined);
  if (cipher === undefined) return null;
  chosen.push({ type: TransformType.Encr, id: cipher.encr, keyBits: keyBitsOf(cipher) });
  let prfChosen: Prf | null = null;
  if (protocol === SaProtocol.Ike) {
    prfChosen = spec.prfs.find((p) => has(TransformType.Prf, p.id) !== undefined) ?? null;
    if (prfChosen === null) return null;
    chosen.push({ type: TransformType.Prf, id: prfChosen.id, keyBits: 0 });
  }
  let check: Integrity | null = null;
  if (cipher.icvLength === 0) {
    check = spec.integrities.find((a) => has(TransformType.Integ, a.auth) !== undefined) ?? null;
    if (check === null) return null;
    chosen.push({ type: TransformType.Integ, id: check.auth, keyBits: 0 });
  } else if (offersAny(TransformType.Integ)) return null;
  let agreed: Group | null = null;
  if (withGroups && (protocol === SaProtocol.Ike || offersAny(TransformType.Group) || spec.groups.length > 0)) {
    const common = spec.groups.filter((g) => has(TransformType.Group, g.id) !== undefined);
    agreed = common.find((g) => g.id === preferred) ?? common[0] ?? null;
    // A child without a group of its own is fine when both sides allow it.
    if (agreed === null && (protocol === SaProtocol.Ike || offersAny(TransformType.Group))) return null;
    if (agreed !== null) chosen.push({ type: TransformType.Group, id: agreed.id, keyBits: 0 });
  }
  let esn = false;
  if (protocol !== SaProtocol.Ike) {
    const found = spec.esn.find((e) => has(TransformType.Esn, e ? 1 : 0) !== undefined);
    if (found === undefined) return null;
    esn = found;
    chosen.push({ type: TransformType.Esn, id: esn ? 1 : 0, keyBits: 0 });
  }
  const { number, spi } = proposal;
  return { proposal: { number, protocol, spi, transforms: chosen }, suite: suiteOf(cipher, check), prf: prfChosen, group: agreed, esn };
}

/** All names, for error texts and documentation. */
export const knownAlgorithms = (): string[] => [...ciphers.keys(), ...integrities.keys(), ...prfs.keys(), ...groups.keys()];
