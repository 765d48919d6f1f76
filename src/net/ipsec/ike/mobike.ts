/** MOBIKE: one end goes elsewhere, and the SAs go with it. RFC 4555. The initiator decides on the path; the responder says what addresses it has. */
import type { Address } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { seconds } from '../../../base/time.js';
import { Exchange, NotifyType, type Part, type Payload } from '../../../wire/ike.js';
import { addressOctets, join, readAddress } from '../../../wire/ike-payload.js';
import { within } from '../selector.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa } from './ike-sa.js';
import { notifies, notifyPart } from './notify.js';
import { learnNat, natParts } from './sa-init.js';

/** Addresses of a peer that are remembered. */
const ADDRESSES_MAX = 16;
/** RFC 4555 §4.2.5: 8 to 64 octets. */
const COOKIE_OCTETS = 16;

/** What an IKE SA knows of moving, once both ends have said that they can. */
export class Mobility {
  /** Where else the peer can be reached. */
  peer: readonly Address[] = [];
  /** How the peer sees us: as it says in NAT_DETECTION_DESTINATION_IP. */
  seen: Uint8Array | null = null;
  /** An update is in flight, and another is due. */
  updating = false;
  again = false;
  /** A path is being tried that the peer has not been told of. */
  trying = false;
}

/** In IKE_AUTH, of both ends. RFC 4555 §3.1, §3.4. */
export const mobikeParts = (x: Exchanges, sa: IkeSa): Part[] =>
  sa.connection.mobike ? [notifyPart(NotifyType.MobikeSupported), ...addressParts(x, sa), ...refusal(sa)] : [];

function addressParts(x: Exchanges, sa: IkeSa): Part[] {
  const inner = sa.connection.children.flatMap((child) => child.local).filter((range) => !within(range, sa.local));
  // What is protected is reached through the tunnel, and not the tunnel by it.
  const others = x.ike.ownAddresses().filter((address) => !address.equals(sa.local) && !inner.some((range) => within(range, address)));
  if (others.length === 0) return [notifyPart(NotifyType.NoAdditionalAddresses)];
  const type = (address: Address): number => (address.isV4 ? NotifyType.AdditionalIp4Address : NotifyType.AdditionalIp6Address);
  return others.slice(0, ADDRESSES_MAX).map((address) => notifyPart(type(address), addressOctets(address)));
}

/** RFC 4555 §3.9: the addresses as we send them, for a peer to see that no NAT has changed them. */
const refusal = (sa: IkeSa): Part[] =>
  sa.connection.noNats ? [notifyPart(NotifyType.NoNatsAllowed, pathOctets(sa.local, sa.localPort, sa.remote, sa.remotePort))] : [];

const pathOctets = (source: Address, sourcePort: number, destination: Address, port: number): Uint8Array =>
  join(addressOctets(source), addressOctets(destination), Uint8Array.of(sourcePort >> 8, sourcePort & 255, port >> 8, port & 255));

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);

/** A NAT stands where the peer allows none. */
function translated(sa: IkeSa, payloads: readonly Payload[]): boolean {
  const said = notifies(payloads).find((n) => n.type === NotifyType.NoNatsAllowed);
  const { came } = sa;
  return said !== undefined && came !== null && !same(said.data, pathOctets(came.remote, came.remotePort, came.local, came.localPort));
}

/** What the peer's IKE_AUTH says. An error to answer with, or 0. */
export function learnMobike(sa: IkeSa, payloads: readonly Payload[]): number {
  if (!sa.connection.mobike || !notifies(payloads).some((n) => n.type === NotifyType.MobikeSupported)) return 0;
  sa.mobility = new Mobility();
  learnAddresses(sa, sa.mobility, payloads);
  return translated(sa, payloads) ? NotifyType.UnexpectedNatDetected : 0;
}

/** True when the peer is not where we have it any more. */
function learnAddresses({ came, remote }: IkeSa, mobility: Mobility, payloads: readonly Payload[]): boolean {
  const all = notifies(payloads);
  const given = all.filter((n) => n.type === NotifyType.AdditionalIp4Address || n.type === NotifyType.AdditionalIp6Address);
  // RFC 4555 §3.6: a list replaces the one before; no list, no change.
  if (given.length === 0 && !all.some((n) => n.type === NotifyType.NoAdditionalAddresses)) return false;
  const sound = given.filter((n) => n.data.length === (n.type === NotifyType.AdditionalIp4Address ? 4 : 16));
  const listed = sound.slice(0, ADDRESSES_MAX).map((n) => readAddress(n.data));
  // They come in addition to the one the message itself came from.
  const elsewhere = came !== null && !came.remote.equals(remote);
  mobility.peer = elsewhere ? [came.remote, ...listed] : listed;
  return elsewhere && !listed.some((address) => address.equals(remote));
}

/** Our routes or addresses have changed: does the SA stand where it best stands? */
export function checkPath(x: Exchanges, sa: IkeSa): void {
  const { mobility, connection } = sa;
  if (mobility === null || sa.state !== 'established') return;
  const best = x.ike.localFor(sa.remote);
  if (sa.initiator) {
    const bound = connection.localAddress?.equals(sa.local) === true && x.ike.isLocal(sa.local);
    if (best === null) tryPath(x, sa);
    else if (!best.equals(sa.local) && !bound) {
      sa.local.copy(best);
      update(x, sa);
    }
    return;
  }
  if (best === null || x.ike.isLocal(sa.local)) return;
  // RFC 4555 §3.6: the responder tells, the initiator moves.
  sa.local.copy(best);
  sa.request({ exchange: Exchange.Informational, build: () => addressParts(x, sa), done: () => {} });
}

/** Requests go unanswered: the next of the peer's addresses that there is a way to. What is in flight goes there from now on. RFC 4555 §3.5. */
export function tryPath(x: Exchanges, sa: IkeSa): void {
  const { mobility } = sa;
  if (mobility === null || !sa.initiator) return;
  const others = mobility.peer.filter((address) => !address.equals(sa.remote));
  const next = others.find((address) => x.ike.localFor(address) !== null);
  if (next === undefined) return;
  // The one that does not answer goes to the end of the list.
  mobility.peer = [...others.filter((address) => address !== next), sa.remote.clone()];
  sa.remote.copy(next);
  sa.local.copy(x.ike.localFor(next) as Address);
  mobility.trying = true;
}

/** An answer has come: a path that was tried works. */
export function pathWorks(x: Exchanges, sa: IkeSa): void {
  const { mobility } = sa;
  if (mobility === null || !mobility.trying) return;
  mobility.trying = false;
  update(x, sa);
}

/** UPDATE_SA_ADDRESSES: RFC 4555 §3.5. The child SAs move at once, since the path before is not there any more, and once more when NATs are known. */
function update(x: Exchanges, sa: IkeSa): void {
  const mobility = sa.mobility as Mobility;
  if (mobility.updating) {
    mobility.again = true;
    return;
  }
  mobility.updating = true;
  follow(sa);
  const cookie = x.random(COOKIE_OCTETS);
  sa.request({
    exchange: Exchange.Informational,
    build: () => [
      notifyPart(NotifyType.UpdateSaAddresses),
      ...natParts(x, sa),
      ...refusal(sa),
      ...addressParts(x, sa),
      notifyPart(NotifyType.Cookie2, cookie),
    ],
    done: (payloads) => {
      mobility.updating = false;
      if (payloads !== null) updated(x, sa, cookie, payloads);
    },
  });
}

function updated(x: Exchanges, sa: IkeSa, cookie: Uint8Array, payloads: readonly Payload[]): void {
  const mobility = sa.mobility as Mobility;
  const all = notifies(payloads);
  if (!all.some((n) => n.type === NotifyType.Cookie2 && same(n.data, cookie))) {
    sa.fail('COOKIE2 did not come back: somebody answers who is not there (RFC 4555 §3.7)');
    return;
  }
  if (mobility.again) {
    mobility.again = false;
    update(x, sa);
    return;
  }
  const refused = all.find((n) => n.type === NotifyType.UnacceptableAddresses || n.type === NotifyType.UnexpectedNatDetected);
  if (refused !== undefined) {
    x.ike.events.failed(sa, '', `the new addresses: ${x.errorText(refused)}`); // and a sign of life without answer tries another
    return;
  }
  learnNat(x, sa, payloads, sa.spiR);
  noteSeen(mobility, payloads);
  follow(sa);
}

function noteSeen(mobility: Mobility, payloads: readonly Payload[]): boolean {
  const seen = notifies(payloads).find((n) => n.type === NotifyType.NatDetectionDestinationIp)?.data;
  const changed = seen !== undefined && mobility.seen !== null && !same(seen, mobility.seen);
  if (seen !== undefined) mobility.seen = seen.slice();
  return changed;
}

/** The SAs of its children go to where an IKE SA has gone. */
function follow(ike: IkeSa): void {
  const { local, remote } = ike;
  const [localPort, remotePort] = ike.encapsulated ? [ike.localPort, ike.remotePort] : [0, 0];
  for (const { inbound, outbound } of ike.children) {
    inbound.source.copy(remote);
    inbound.destination.copy(local);
    outbound.source.copy(local);
    outbound.destination.copy(remote);
    for (const sa of [inbound, outbound]) [sa.localPort, sa.remotePort] = [localPort, remotePort];
    outbound.path = null;
  }
}

/** Is the peer still there (RFC 7296 §2.4)? From behind a NAT also: does it still map us as before (RFC 4555 §3.8)? */
export function askForLife(x: Exchanges, sa: IkeSa): void {
  const since = x.ike.ctx.now - seconds(sa.connection.dpdSeconds);
  // Protected traffic that comes in is as good as an answer.
  if (sa.children.some((child) => child.inbound.usedAt > since)) return;
  const moves = sa.mobility !== null && sa.initiator;
  sa.request({
    exchange: Exchange.Informational,
    build: () => (moves && sa.natLocal ? natParts(x, sa) : []),
    done: (payloads) => {
      if (payloads !== null && moves && noteSeen(sa.mobility as Mobility, payloads)) update(x, sa);
    },
  });
}

/** The parts of an INFORMATIONAL request that are MOBIKE's, answered. The request came by `sa.came`. */
export function answerMobike(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): Part[] {
  const { mobility, came } = sa;
  if (mobility === null || came === null) return [];
  const all = notifies(payloads);
  const cookies = all.filter((n) => n.type === NotifyType.Cookie2).map((n) => notifyPart(NotifyType.Cookie2, n.data));
  if (learnAddresses(sa, mobility, payloads) && sa.initiator) {
    tryPath(x, sa);
    pathWorks(x, sa);
  }
  const asksNat = all.some((n) => n.type === NotifyType.NatDetectionSourceIp);
  if (!all.some((n) => n.type === NotifyType.UpdateSaAddresses)) return [...cookies, ...(asksNat ? natParts(x, sa, came) : [])];
  if (sa.initiator) {
    x.ike.drop(Drop.IkeState); // only the initiator moves (RFC 4555 §3.5)
    return [...cookies, notifyPart(NotifyType.UnacceptableAddresses)];
  }
  if (translated(sa, payloads)) return [...cookies, notifyPart(NotifyType.UnexpectedNatDetected)];
  const moved = !came.remote.equals(sa.remote);
  sa.local.copy(came.local);
  sa.remote.copy(came.remote);
  sa.localPort = came.localPort;
  sa.remotePort = came.remotePort;
  learnNat(x, sa, payloads, sa.spiR);
  follow(sa);
  if (moved) verifyReturn(x, sa);
  return [...cookies, ...natParts(x, sa)];
}

/** RFC 4555 §3.7: whoever is at the new address answers with what was sent there, or traffic could be turned against a stranger. */
function verifyReturn(x: Exchanges, sa: IkeSa): void {
  const cookie = x.random(COOKIE_OCTETS);
  sa.request({
    exchange: Exchange.Informational,
    build: () => [notifyPart(NotifyType.Cookie2, cookie)],
    done: (payloads) => {
      if (payloads === null) return;
      if (!notifies(payloads).some((n) => n.type === NotifyType.Cookie2 && same(n.data, cookie)))
        sa.fail('COOKIE2 did not come back (RFC 4555 §3.7)');
    },
  });
}
