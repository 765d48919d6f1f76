/** CREATE_CHILD_SA that rekeys the IKE SA itself: RFC 7296 §1.3.2, §2.8, §2.18. */
import { Exchange, NotifyType, type Payload, PayloadType, viewOf } from '../../../wire/ike.js';
import { putKe } from '../../../wire/ike-payload.js';
import { putProposals, SaProtocol } from '../../../wire/ike-sa.js';
import type { Exchanges } from './exchanges.js';
import { IkeSa } from './ike-sa.js';
import { type IkeKeys, ikeKeys, nextSeed } from './keys.js';
import { errorOf, notifyPart } from './notify.js';
import { choose, type Group, groupOf, type IkeSuite, offer } from './proposal.js';
import { NONCE_OCTETS, readCore } from './sa-init.js';

const NONE = new Uint8Array();

/** The lower of two nonces, as octet strings: RFC 7296 §2.8.1. */
export function lower(a: Uint8Array, b: Uint8Array): Uint8Array {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number) ? a : b;
  }
  return a.length <= b.length ? a : b;
}

/** Rekeys the IKE SA: a new one takes its children over. RFC 7296 §1.3.2, §2.18. */
export function startRekeyIke(x: Exchanges, sa: IkeSa, wanted: Group | null = null): void {
  const { group } = sa.suite as IkeSuite;
  const use = wanted ?? group;
  sa.rekeying = true;
  const spi = x.ike.newSpi();
  const nonce = x.random(NONCE_OCTETS);
  x.keyPair(sa, use, (own, secret) => {
    sa.request({
      exchange: Exchange.CreateChild,
      build: () => {
        if (sa.state !== 'established') return null;
        return [
          { type: PayloadType.Sa, body: putProposals(offer(sa.connection.proposals, SaProtocol.Ike, spi, true)) },
          { type: PayloadType.Nonce, body: nonce },
          { type: PayloadType.Ke, body: putKe(use.id, own) },
        ];
      },
      done: (payloads) => payloads !== null && rekeyIkeAnswered(x, sa, spi, nonce, use, secret, payloads),
    });
  });
}

function rekeyIkeAnswered(
  x: Exchanges,
  sa: IkeSa,
  spi: Uint8Array,
  nonce: Uint8Array,
  group: Group,
  secret: Uint8Array,
  payloads: readonly Payload[],
): void {
  const wrong = errorOf(payloads);
  const core = readCore(payloads);
  const choice = core === null ? null : choose(core.proposals, sa.connection.proposals, SaProtocol.Ike, true, core.ke.group);
  if (wrong?.type === NotifyType.InvalidKePayload && wrong.data.length === 2) {
    const other = groupOf(viewOf(wrong.data).getUint16(0));
    if (other !== null && other.id !== group.id && sa.connection.proposals.some((p) => p.groups.some((g) => g.id === other.id))) {
      startRekeyIke(x, sa, other);
      return;
    }
  }
  if (
    wrong !== null ||
    core === null ||
    choice === null ||
    choice.prf === null ||
    choice.group === null ||
    choice.proposal.spi.length !== 8 ||
    core.ke.group !== group.id
  ) {
    x.rekeyIkeFailed(sa, wrong);
    return;
  }
  const suite: IkeSuite = { suite: choice.suite, prf: choice.prf, group: choice.group };
  x.derive(sa, group, secret, core.ke.value, (shared) => {
    const next = successorOf(x, sa, true, spi, choice.proposal.spi, suite, nonce, core.nonce, shared);
    if (next !== null) x.ikeReplaced(sa, next, lower(nonce, core.nonce));
  });
}

/** The responder's side. */
export function answerRekeyIke(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const refuse = (error: number, data: Uint8Array = NONE): void => sa.respond(Exchange.CreateChild, [notifyPart(error, data)]);
  const core = readCore(payloads);
  if (core === null) {
    refuse(NotifyType.InvalidSyntax);
    return;
  }
  const choice = choose(core.proposals, sa.connection.proposals, SaProtocol.Ike, true, core.ke.group);
  if (choice === null || choice.prf === null || choice.group === null || choice.proposal.spi.length !== 8) {
    refuse(NotifyType.NoProposalChosen);
    return;
  }
  const { group } = choice;
  if (core.ke.group !== group.id || core.ke.value.length !== group.length) {
    refuse(NotifyType.InvalidKePayload, Uint8Array.of(group.id >> 8, group.id & 255));
    return;
  }
  // While a child is being made or removed the two would get in each other's way: RFC 7296 §2.25.2.
  if (!sa.rekeying && !sa.idle) {
    refuse(NotifyType.TemporaryFailure);
    return;
  }
  const own = x.random(NONCE_OCTETS);
  const spi = x.ike.newSpi();
  const suite: IkeSuite = { suite: choice.suite, prf: choice.prf, group };
  const peerSpi = choice.proposal.spi.slice();
  x.respond(sa, group, core.ke.value, (value, shared) => {
    const next = successorOf(x, sa, false, peerSpi, spi, suite, core.nonce, own, shared);
    if (next === null) {
      refuse(NotifyType.NoProposalChosen);
      return;
    }
    sa.respond(Exchange.CreateChild, [
      { type: PayloadType.Sa, body: putProposals([{ ...choice.proposal, spi }]) },
      { type: PayloadType.Nonce, body: own },
      { type: PayloadType.Ke, body: putKe(group.id, value) },
    ]);
    x.ikeReplacedByPeer(sa, next, lower(core.nonce, own));
  });
}

function successorOf(
  x: Exchanges,
  sa: IkeSa,
  initiator: boolean,
  spiI: Uint8Array,
  spiR: Uint8Array,
  suite: IkeSuite,
  nonceI: Uint8Array,
  nonceR: Uint8Array,
  shared: Uint8Array,
): IkeSa | null {
  const next = new IkeSa(x.ike, sa.connection, initiator, spiI, spiR, sa.local, sa.remote, [sa.localPort, sa.remotePort]);
  const seed = nextSeed(x.crypto, (sa.suite as IkeSuite).prf, (sa.keys as IkeKeys).d, shared, nonceI, nonceR);
  const keys = ikeKeys(x.crypto, suite, seed, nonceI, nonceR, next.spiI, next.spiR);
  seed.fill(0);
  shared.fill(0);
  if (!next.install(suite, keys)) {
    next.end('this host lacks the algorithm');
    return null;
  }
  next.inherit(sa);
  x.ike.events.keys(next);
  return next;
}
