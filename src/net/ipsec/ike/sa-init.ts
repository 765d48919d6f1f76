/** IKE_SA_INIT: proposals, key exchange, nonces, NAT detection, cookies. RFC 7296 §1.2, §2.6, §2.7, §2.23. */
import type { Address } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { Exchange, NotifyType, type Part, type Payload, PayloadType } from '../../../wire/ike.js';
import { addressOctets, join, putKe, readKe, soundNonce } from '../../../wire/ike-payload.js';
import { type Proposal, putProposals, readProposals, SaProtocol } from '../../../wire/ike-sa.js';
import { NAT_PORT } from '../nat-t.js';
import { certificateRequest } from './certificate.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa, Way } from './ike-sa.js';
import { firstSeed, ikeKeys } from './keys.js';
import { errorOf, find, notifies, notifyPart } from './notify.js';
import { choose, type Group, groupOf, type IkeSuite, offer } from './proposal.js';
import { redirected, redirectParts } from './redirect.js';

/** Octets of our nonces: RFC 7296 §2.10 asks for half the PRF's key, 16 at least. */
export const NONCE_OCTETS = 32;
/** Times an answer may send us back to the beginning (cookie, another group). */
const RESTARTS_MAX = 3;
/** RFC 7427 §4: SHA2-256, -384, -512 and identity, for Ed25519 (RFC 8420). */
const HASHES = [2, 3, 4, 5];

/** Begins an IKE SA. `done` hears of its end. */
export function startInit(x: Exchanges, sa: IkeSa): void {
  const preferred = sa.connection.proposals[0]?.groups[0] as Group;
  sa.nonceI = x.random(NONCE_OCTETS);
  begin(x, sa, preferred, null, 0);
}

function begin(x: Exchanges, sa: IkeSa, group: Group, cookie: Uint8Array | null, restarts: number): void {
  if (restarts > RESTARTS_MAX) {
    sa.fail('the peer sends us back again and again');
    return;
  }
  x.keyPair(sa, group, (own, secret) => {
    const request = {
      exchange: Exchange.SaInit,
      build: () => initParts(x, sa, group, own, cookie),
      done: (payloads: readonly Payload[] | null) => {
        if (payloads !== null) answered(x, sa, group, own, secret, payloads, restarts);
      },
    };
    if (restarts === 0) sa.request(request);
    else sa.restart(request);
  });
}

function initParts(x: Exchanges, sa: IkeSa, group: Group, own: Uint8Array, cookie: Uint8Array | null): Part[] {
  const proposals = offer(sa.connection.proposals, SaProtocol.Ike, new Uint8Array(), true);
  return [
    ...(cookie === null ? [] : [notifyPart(NotifyType.Cookie, cookie)]),
    { type: PayloadType.Sa, body: putProposals(proposals) },
    { type: PayloadType.Ke, body: putKe(group.id, own) },
    { type: PayloadType.Nonce, body: sa.nonceI },
    ...common(x, sa),
    ...redirectParts(sa),
  ];
}

/** Of request and answer alike. */
function common(x: Exchanges, sa: IkeSa): Part[] {
  return [
    ...natParts(x, sa),
    ...(sa.connection.fragmentation ? [notifyPart(NotifyType.FragmentationSupported)] : []),
    notifyPart(NotifyType.SignatureHashAlgorithms, Uint8Array.from(HASHES.flatMap((h) => [0, h]))),
  ];
}

/** What the path is at our end, for the peer to see whether a NAT has changed it. RFC 7296 §2.23. */
export function natParts(x: Exchanges, sa: IkeSa, path: Way = sa): Part[] {
  // A source hash that fits nothing has the peer believe in a NAT: how UDP encapsulation is forced.
  const source = sa.connection.encapsulate ? x.random(20) : natHash(x, sa, path.local, path.localPort, sa.spiR);
  return [
    notifyPart(NotifyType.NatDetectionSourceIp, source),
    notifyPart(NotifyType.NatDetectionDestinationIp, natHash(x, sa, path.remote, path.remotePort, sa.spiR)),
  ];
}

/** RFC 7296 §2.23: SHA-1 of SPIs, address and port. */
function natHash(x: Exchanges, sa: IkeSa, address: Address, port: number, spiR: Uint8Array): Uint8Array {
  return x.crypto.hash('sha1', join(sa.spiI, spiR, addressOctets(address), Uint8Array.of(port >> 8, port & 255)));
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);

/** What the peer's notifies say of the path. */
export function learnNat(x: Exchanges, sa: IkeSa, payloads: readonly Payload[], spiR: Uint8Array): void {
  const all = notifies(payloads);
  const sources = all.filter((n) => n.type === NotifyType.NatDetectionSourceIp);
  const destinations = all.filter((n) => n.type === NotifyType.NatDetectionDestinationIp);
  if (sources.length > 0) {
    const theirs = natHash(x, sa, sa.remote, sa.remotePort, spiR);
    sa.natRemote = !sources.some((n) => same(n.data, theirs));
  }
  if (destinations.length > 0) {
    const ours = natHash(x, sa, sa.local, sa.localPort, spiR);
    sa.natLocal = !destinations.some((n) => same(n.data, ours));
  }
}

/** And of itself. */
function learn(x: Exchanges, sa: IkeSa, payloads: readonly Payload[], spiR: Uint8Array): void {
  learnNat(x, sa, payloads, spiR);
  const all = notifies(payloads);
  sa.peerFragments = all.some((n) => n.type === NotifyType.FragmentationSupported);
  const hashes = all.find((n) => n.type === NotifyType.SignatureHashAlgorithms);
  if (hashes !== undefined) sa.peerHashes = new Set(Array.from({ length: hashes.data.length >> 1 }, (_, i) => hashes.data[2 * i + 1] as number));
}

/** The responder's answer. Nothing of it is authentic yet: what is odd is dropped, and the request goes on being sent. */
function answered(x: Exchanges, sa: IkeSa, group: Group, own: Uint8Array, secret: Uint8Array, payloads: readonly Payload[], restarts: number): void {
  const all = notifies(payloads);
  const cookie = all.find((n) => n.type === NotifyType.Cookie);
  if (cookie !== undefined && find(payloads, PayloadType.Sa) === null) {
    sa.restart({
      exchange: Exchange.SaInit,
      build: () => initParts(x, sa, group, own, cookie.data.slice(0, 64)),
      done: (next) => {
        if (next !== null) answered(x, sa, group, own, secret, next, restarts + 1);
      },
    });
    return;
  }
  if (find(payloads, PayloadType.Sa) === null && redirected(x, sa, payloads, sa.nonceI)) return;
  const wrong = errorOf(payloads);
  if (wrong?.type === NotifyType.InvalidKePayload && wrong.data.length === 2) {
    const wanted = groupOf(((wrong.data[0] as number) << 8) | (wrong.data[1] as number));
    const allowed = wanted !== null && sa.connection.proposals.some((p) => p.groups.some((g) => g.id === wanted.id));
    // RFC 7296 §2.7: only a group of our own offer, or an attacker could talk us down.
    if (allowed && wanted.id !== group.id) begin(x, sa, wanted, null, restarts + 1);
    else x.ike.drop(Drop.IkeState);
    return;
  }
  if (wrong !== null) {
    x.refused(sa, 'IKE_SA_INIT', wrong);
    return;
  }
  const chosen = readAnswer(payloads, sa);
  if (chosen === null || chosen.suite.group.id !== group.id || chosen.ke.group !== group.id || chosen.ke.value.length !== group.answer) {
    x.ike.drop(Drop.IkeMalformed);
    return;
  }
  sa.accepted = true;
  sa.spiR = x.responderSpi(payloads);
  sa.nonceR = chosen.nonce.slice();
  sa.initR = x.lastDatagram.slice();
  learn(x, sa, payloads, sa.spiR);
  x.derive(sa, group, secret, chosen.ke.value, (shared) => {
    establishKeys(x, sa, chosen.suite, shared);
    // RFC 4555 §3.3: who may move goes on where ESP in UDP would.
    if (sa.encapsulated || sa.connection.mobike || x.ike.natPortAlways)
      [sa.localPort, sa.remotePort] = [x.ike.ports[1], NAT_PORT === sa.remotePort ? sa.remotePort : x.ike.remoteNatPort(sa)];
    x.startAuth(sa, find(payloads, PayloadType.CertReq) !== null);
  });
}

function establishKeys(x: Exchanges, sa: IkeSa, suite: IkeSuite, shared: Uint8Array): void {
  const seed = firstSeed(x.crypto, suite.prf, sa.nonceI, sa.nonceR, shared);
  const keys = ikeKeys(x.crypto, suite, seed, sa.nonceI, sa.nonceR, sa.spiI, sa.spiR);
  seed.fill(0);
  shared.fill(0);
  if (!sa.install(suite, keys)) sa.fail('this host lacks the algorithm');
  else x.ike.events.keys(sa);
}

interface Answer {
  readonly suite: IkeSuite;
  readonly ke: { readonly group: number; readonly value: Uint8Array };
  readonly nonce: Uint8Array;
}

/** SA, KE and nonce of an answer that chose from our offer; null otherwise. */
function readAnswer(payloads: readonly Payload[], sa: IkeSa): Answer | null {
  const parts = readCore(payloads);
  if (parts === null || parts.proposals.length !== 1) return null;
  const choice = choose(parts.proposals, sa.connection.proposals, SaProtocol.Ike, true, parts.ke.group);
  if (choice === null || choice.prf === null || choice.group === null) return null;
  // Exactly one transform of each type, or it is no choice.
  if (choice.proposal.transforms.length !== parts.proposals[0]?.transforms.filter((t) => t.id !== 0).length) return null;
  return { suite: { suite: choice.suite, prf: choice.prf, group: choice.group }, ke: parts.ke, nonce: parts.nonce };
}

/** SA, KE and nonce, sound each. */
export function readCore(
  payloads: readonly Payload[],
): { proposals: Proposal[]; ke: { group: number; value: Uint8Array }; nonce: Uint8Array } | null {
  const sa = find(payloads, PayloadType.Sa);
  const ke = find(payloads, PayloadType.Ke);
  const nonce = find(payloads, PayloadType.Nonce);
  if (sa === null || ke === null || nonce === null || !soundNonce(nonce.body)) return null;
  const proposals = readProposals(sa.body);
  const value = readKe(ke.body);
  return typeof proposals === 'number' || value === null ? null : { proposals, ke: value, nonce: nonce.body };
}

/** The responder's side. `sa` is new and half open; the first message is `bytes`. */
export function answerInit(x: Exchanges, sa: IkeSa, payloads: readonly Payload[], bytes: Uint8Array): void {
  const core = readCore(payloads);
  if (core === null) {
    x.ike.drop(Drop.IkeMalformed);
    sa.end('malformed');
    return;
  }
  const choice = choose(core.proposals, sa.connection.proposals, SaProtocol.Ike, true, core.ke.group);
  if (choice === null || choice.prf === null || choice.group === null) {
    sa.respond(Exchange.SaInit, [notifyPart(NotifyType.NoProposalChosen)]);
    sa.end('no common proposal');
    return;
  }
  const { group } = choice;
  if (core.ke.group !== group.id || core.ke.value.length !== group.length) {
    sa.respond(Exchange.SaInit, [notifyPart(NotifyType.InvalidKePayload, Uint8Array.of(group.id >> 8, group.id & 255))]);
    sa.end('another group was asked for');
    return;
  }
  sa.initI = bytes.slice();
  sa.nonceI = core.nonce.slice();
  sa.nonceR = x.random(NONCE_OCTETS);
  learn(x, sa, payloads, new Uint8Array(8)); // the request had none of ours yet
  const suite: IkeSuite = { suite: choice.suite, prf: choice.prf, group };
  const wanted = certificateRequest(
    x.crypto,
    x.ike.candidates(sa.local, sa.remote).map((c) => c.remoteAuth),
  );
  x.respond(sa, group, core.ke.value, (own, shared) => {
    establishKeys(x, sa, suite, shared);
    if (!sa.alive) return;
    sa.respond(Exchange.SaInit, [
      { type: PayloadType.Sa, body: putProposals([choice.proposal]) },
      { type: PayloadType.Ke, body: putKe(group.id, own) },
      { type: PayloadType.Nonce, body: sa.nonceR },
      ...(wanted === null ? [] : [{ type: PayloadType.CertReq, body: wanted }]),
      ...common(x, sa),
    ]);
  });
}
