/** CREATE_CHILD_SA: new children, rekeying of children and of the IKE SA itself. RFC 7296 §1.3, §2.8, §2.17, §2.18. */
import { NetError } from '../../../base/errors.js';
import { Exchange, NotifyType, type Part, type Payload, PayloadType, viewOf } from '../../../wire/ike.js';
import { putKe, putTrafficSelectors, readKe, readTrafficSelectors, soundNonce, type TrafficSelector } from '../../../wire/ike-payload.js';
import { putProposals, readProposals, SaProtocol } from '../../../wire/ike-sa.js';
import { rangeOf } from '../selector.js';
import { ChildSa, type ChildTerms } from './child-sa.js';
import { type ChildConfig, narrow, type WantedChild, wholeChild } from './connection.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa } from './ike-sa.js';
import type { IkeKeys } from './keys.js';
import { errorOf, find, notifies, notifyPart } from './notify.js';
import { choose, type Group, groupOf, type IkeSuite, offer } from './proposal.js';
import { answerRekeyIke, lower } from './rekey-ike.js';
import { NONCE_OCTETS } from './sa-init.js';

const NONE = new Uint8Array();

/** A child that we have offered. */
export interface ChildStart {
  readonly config: ChildConfig;
  readonly parts: readonly Part[];
  readonly spi: number;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly replaces: ChildSa | null;
}

/** SA, TSi, TSr and what goes with them; nonce and key exchange are the caller's. `withGroups`: in an exchange of its own. */
export function childOffer(x: Exchanges, sa: IkeSa, wanted: WantedChild, replaces: ChildSa | null, withGroups: boolean): ChildStart {
  const { config } = wanted;
  const spi = x.ike.ipsec.newSpi();
  const virtual = sa.connection.virtualAddress === null || withGroups ? sa.virtual : null;
  const local = virtual !== null && virtual.length > 0 ? virtual.map(selectorOfAddress) : wanted.local;
  const { remote } = wanted;
  const parts: Part[] = [
    ...(config.mode === 'transport' ? [notifyPart(NotifyType.UseTransportMode)] : []),
    { type: PayloadType.Sa, body: putProposals(offer(config.proposals, SaProtocol.Esp, spiOctets(spi), withGroups)) },
    { type: PayloadType.TsI, body: putTrafficSelectors(local) },
    { type: PayloadType.TsR, body: putTrafficSelectors(remote) },
  ];
  return { config, parts, spi, local, remote, replaces };
}

function selectorOfAddress(address: TrafficSelector['first']): TrafficSelector {
  const { first, last } = rangeOf({ address, length: address.isV4 ? 32 : 128 });
  return { protocol: 0, firstPort: 0, lastPort: 65_535, first, last };
}

/** The four octets of an ESP SPI. */
export function spiOctets(spi: number): Uint8Array {
  const out = new Uint8Array(4);
  viewOf(out).setUint32(0, spi);
  return out;
}

/** The first child's part of the answer to IKE_AUTH. The IKE SA stands without it (RFC 7296 §1.2). */
export function agreedChild(x: Exchanges, sa: IkeSa, start: ChildStart, payloads: readonly Payload[]): void {
  const terms = readAgreed(sa, start, payloads, sa.nonceI, sa.nonceR, NONE, false, 0);
  if (terms === null) {
    const wrong = errorOf(payloads);
    x.ike.events.failed(sa, start.config.name, wrong === null ? 'the answer does not fit the offer' : x.errorText(wrong));
  } else makeChild(x, sa, terms);
}

function readAgreed(
  sa: IkeSa,
  start: ChildStart,
  payloads: readonly Payload[],
  nonceI: Uint8Array,
  nonceR: Uint8Array,
  secret: Uint8Array,
  withGroups: boolean,
  group: number,
): ChildTerms | null {
  const body = find(payloads, PayloadType.Sa)?.body;
  const proposals = body === undefined ? 0 : readProposals(body);
  if (typeof proposals === 'number' || proposals.length !== 1) return null;
  const choice = choose(proposals, start.config.proposals, SaProtocol.Esp, withGroups, group);
  if (choice === null || choice.proposal.spi.length !== 4) return null;
  const [tsI, tsR] = selectorsOf(payloads);
  if (tsI === null || tsR === null) return null;
  // The responder may narrow and never widen: what lies outside of our offer is cut off (RFC 7296 §2.9).
  const allowed = start.local.length > 0 ? start.local : start.config.local;
  const local = sa.connection.virtualAddress === null ? narrow(tsI, allowed) : narrow(tsI, sa.virtual.map(selectorOfAddress));
  const remote = narrow(tsR, start.remote);
  if (local.length === 0 || remote.length === 0) return null;
  const transport = notifies(payloads).some((n) => n.type === NotifyType.UseTransportMode);
  if (transport && start.config.mode !== 'transport') return null;
  return {
    config: start.config,
    suite: { suite: choice.suite, group: choice.group, esn: choice.esn },
    transport,
    local,
    remote,
    spiIn: start.spi,
    spiOut: viewOf(choice.proposal.spi).getUint32(0),
    nonceI,
    nonceR,
    secret,
    initiator: true,
    replaces: start.replaces,
  };
}

function selectorsOf(payloads: readonly Payload[]): [TrafficSelector[] | null, TrafficSelector[] | null] {
  const i = find(payloads, PayloadType.TsI);
  const r = find(payloads, PayloadType.TsR);
  return [i === null ? null : readTrafficSelectors(i.body), r === null ? null : readTrafficSelectors(r.body)];
}

function makeChild(x: Exchanges, sa: IkeSa, terms: ChildTerms): ChildSa | null {
  try {
    return new ChildSa(sa, terms, (sa.suite as IkeSuite).prf, (sa.keys as IkeKeys).d);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    x.ike.events.failed(sa, terms.config.name, error.message);
    return null;
  }
}

/** Asks for a child, or with `replaces` for the one that takes its place. `peerGroup`: the peer wants this one. */
export function startChild(x: Exchanges, sa: IkeSa, wanted: WantedChild, replaces: ChildSa | null, peerGroup: Group | null = null): void {
  const group = peerGroup ?? wanted.config.proposals[0]?.groups[0] ?? null;
  const nonce = x.random(NONCE_OCTETS);
  if (group === null) ask(x, sa, wanted, replaces, nonce, null, NONE, NONE);
  else x.keyPair(sa, group, (own, secret) => ask(x, sa, wanted, replaces, nonce, group, own, secret));
}

/** What takes the place of a child: with PFP the same traffic and no more, else all that is configured by now. */
export const againChild = ({ config, terms }: ChildSa): WantedChild =>
  config.fromPacket === null ? wholeChild(config) : { config, local: terms.local, remote: terms.remote };

function ask(
  x: Exchanges,
  sa: IkeSa,
  wanted: WantedChild,
  replaces: ChildSa | null,
  nonce: Uint8Array,
  group: Group | null,
  own: Uint8Array,
  secret: Uint8Array,
): void {
  const start = childOffer(x, sa, wanted, replaces, true);
  const parts: Part[] = [
    ...(replaces === null ? [] : [notifyPart(NotifyType.RekeySa, NONE, SaProtocol.Esp, spiOctets(replaces.inbound.spi))]),
    ...start.parts.slice(0, -2),
    { type: PayloadType.Nonce, body: nonce },
    ...(group === null ? [] : [{ type: PayloadType.Ke, body: putKe(group.id, own) }]),
    ...start.parts.slice(-2),
  ];
  sa.request({
    exchange: Exchange.CreateChild,
    build: () => {
      // Its turn has come too late: it is gone, or the peer has replaced it.
      if (replaces !== null && (replaces.deleting || !sa.children.includes(replaces))) return null;
      return parts;
    },
    done: (payloads) => payloads !== null && childAnswered(x, sa, start, nonce, group, secret, payloads),
  });
}

function childAnswered(
  x: Exchanges,
  sa: IkeSa,
  start: ChildStart,
  nonce: Uint8Array,
  group: Group | null,
  secret: Uint8Array,
  payloads: readonly Payload[],
): void {
  const { config, replaces } = start;
  const wrong = errorOf(payloads);
  if (wrong !== null) {
    if (wrong.type === NotifyType.InvalidKePayload && wrong.data.length === 2) {
      const other = groupOf(viewOf(wrong.data).getUint16(0));
      const allowed = other !== null && other.id !== group?.id && config.proposals.some((p) => p.groups.some((g) => g.id === other.id));
      if (allowed) {
        startChild(x, sa, start, replaces, other);
        return;
      }
    }
    if (replaces !== null) x.rekeyFailed(replaces, wrong);
    else x.ike.events.failed(sa, config.name, x.errorText(wrong));
    return;
  }
  const peerNonce = find(payloads, PayloadType.Nonce)?.body;
  const kePayload = find(payloads, PayloadType.Ke);
  const ke = kePayload === null ? null : readKe(kePayload.body);
  if (peerNonce === undefined || !soundNonce(peerNonce)) {
    x.ike.events.failed(sa, config.name, 'an answer without nonce');
    return;
  }
  const agree = (shared: Uint8Array): void => {
    const terms = readAgreed(sa, start, payloads, nonce, peerNonce.slice(), shared, ke !== null, ke?.group ?? 0);
    if (terms === null) {
      x.ike.events.failed(sa, config.name, 'the answer does not fit the offer');
      return;
    }
    const made = makeChild(x, sa, terms);
    if (made !== null && replaces !== null) x.replaced(replaces, made, nonce, peerNonce);
  };
  if (ke === null || group === null || ke.group !== group.id) agree(NONE);
  else x.derive(sa, group, secret, ke.value, agree);
}

/** What we make of the peer's offer of a child: terms and the payloads of the answer, or an error. */
export interface ChildAnswer {
  readonly terms: ChildTerms | null;
  readonly parts: readonly Part[];
  readonly error: number;
  readonly data: Uint8Array;
  /** The group agreed on, when there is a key exchange. */
  readonly group: Group | null;
}

const refusal = (error: number, data: Uint8Array = NONE): ChildAnswer => ({ terms: null, parts: [], error, data, group: null });

/** `nonces` is null in IKE_AUTH, whose child uses those of the IKE SA. */
export function acceptChild(
  x: Exchanges,
  sa: IkeSa,
  payloads: readonly Payload[],
  replaces: ChildSa | null,
  nonces: readonly [Uint8Array, Uint8Array] | null,
  secret: Uint8Array,
): ChildAnswer {
  const body = find(payloads, PayloadType.Sa)?.body;
  const proposals = body === undefined ? 0 : readProposals(body);
  const [tsI, tsR] = selectorsOf(payloads);
  if (typeof proposals === 'number' || tsI === null || tsR === null) return refusal(NotifyType.InvalidSyntax);
  const wantsTransport = notifies(payloads).some((n) => n.type === NotifyType.UseTransportMode);
  const kePayload = find(payloads, PayloadType.Ke);
  const offeredGroup = kePayload === null ? 0 : (readKe(kePayload.body)?.group ?? 0);
  let found = false;
  for (const config of replaces === null ? sa.connection.children : [replaces.config]) {
    // A rekey keeps what it replaces (RFC 7296 §2.9.2).
    const ours =
      replaces?.terms.remote ?? (sa.virtual.length > 0 && sa.connection.pool.length > 0 ? sa.virtual.map(selectorOfAddress) : config.remote);
    const remote = narrow(tsI, ours);
    const local = narrow(tsR, replaces?.terms.local ?? config.local);
    if (remote.length === 0 || local.length === 0) continue;
    found = true;
    const choice = choose(proposals, config.proposals, SaProtocol.Esp, nonces !== null, offeredGroup);
    if (choice === null || choice.proposal.spi.length !== 4) continue;
    if (choice.group !== null && choice.group.id !== offeredGroup)
      return refusal(NotifyType.InvalidKePayload, Uint8Array.of(choice.group.id >> 8, choice.group.id & 255));
    const transport = wantsTransport && config.mode === 'transport';
    const spiIn = x.ike.ipsec.newSpi();
    const terms: ChildTerms = {
      config,
      suite: { suite: choice.suite, group: choice.group, esn: choice.esn },
      transport,
      local,
      remote,
      spiIn,
      spiOut: viewOf(choice.proposal.spi).getUint32(0),
      nonceI: nonces?.[0] ?? sa.nonceI,
      nonceR: nonces?.[1] ?? sa.nonceR,
      secret,
      initiator: false,
      replaces,
    };
    const parts: Part[] = [
      ...(transport ? [notifyPart(NotifyType.UseTransportMode)] : []),
      { type: PayloadType.Sa, body: putProposals([{ ...choice.proposal, spi: spiOctets(spiIn) }]) },
      { type: PayloadType.TsI, body: putTrafficSelectors(remote) },
      { type: PayloadType.TsR, body: putTrafficSelectors(local) },
    ];
    return { terms, parts, error: 0, data: NONE, group: choice.group };
  }
  return refusal(found ? NotifyType.NoProposalChosen : NotifyType.TsUnacceptable);
}

/** The responder's side of the exchange, whichever of the three it is. */
export function answerCreateChild(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const refuse = (error: number, data: Uint8Array = NONE): void => sa.respond(Exchange.CreateChild, [notifyPart(error, data)]);
  if (sa.state !== 'established') {
    // Being replaced or deleted: RFC 7296 §2.25.2.
    refuse(NotifyType.TemporaryFailure);
    return;
  }
  const body = find(payloads, PayloadType.Sa)?.body;
  const proposals = body === undefined ? 0 : readProposals(body);
  const nonce = find(payloads, PayloadType.Nonce)?.body;
  if (typeof proposals === 'number' || nonce === undefined || !soundNonce(nonce)) {
    refuse(NotifyType.InvalidSyntax);
    return;
  }
  if (proposals[0]?.protocol === SaProtocol.Ike) {
    answerRekeyIke(x, sa, payloads);
    return;
  }
  const rekeyed = notifies(payloads).find((n) => n.type === NotifyType.RekeySa);
  let replaces: ChildSa | null = null;
  if (rekeyed !== undefined) {
    const spi = rekeyed.spi.length === 4 ? viewOf(rekeyed.spi).getUint32(0) : 0;
    replaces = sa.children.find((child) => child.outbound.spi === spi) ?? null;
    if (replaces === null) {
      sa.respond(Exchange.CreateChild, [notifyPart(NotifyType.ChildSaNotFound, NONE, SaProtocol.Esp, rekeyed.spi)]);
      return;
    }
    // We are deleting it: RFC 7296 §2.25.1.
    if (replaces.deleting) {
      refuse(NotifyType.TemporaryFailure);
      return;
    }
  }
  const own = x.random(NONCE_OCTETS);
  const kePayload = find(payloads, PayloadType.Ke);
  const ke = kePayload === null ? null : readKe(kePayload.body);
  const answer = acceptChild(x, sa, payloads, replaces, [nonce.slice(), own], NONE);
  if (answer.terms === null) {
    refuse(answer.error, answer.data);
    return;
  }
  const { terms, group } = answer;
  const finish = (value: Uint8Array, secret: Uint8Array): void => {
    const made = makeChild(x, sa, { ...terms, secret });
    if (made === null) {
      refuse(NotifyType.NoAdditionalSas);
      return;
    }
    if (replaces !== null) replaces.peerReplacement = { child: made, nonce: lower(nonce, own) };
    const parts = [...answer.parts];
    parts.splice(-2, 0, { type: PayloadType.Nonce, body: own }, ...(group === null ? [] : [{ type: PayloadType.Ke, body: putKe(group.id, value) }]));
    sa.respond(Exchange.CreateChild, parts);
  };
  if (group === null || ke === null) {
    finish(NONE, NONE);
    return;
  }
  x.respond(sa, group, ke.value, finish);
}
