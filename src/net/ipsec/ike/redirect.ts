/** A gateway sends its client to another one: RFC 5685. Whom it then meets has to prove the identity that the connection asks for, as before. */
import { Drop } from '../../../base/drops.js';
import { type Micros, seconds } from '../../../base/time.js';
import { NotifyType, type Part, type Payload } from '../../../wire/ike.js';
import { addressOctets, join, readAddress } from '../../../wire/ike-payload.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa } from './ike-sa.js';
import { notifies, notifyPart } from './notify.js';

/** Kinds of names of a gateway: RFC 5685 §9.2. */
const Gateway = { Ipv4: 1, Ipv6: 2 } as const;
/** RFC 5685 §7: this often in this time, and it is a loop. */
const REDIRECTS_MAX = 5;
const LOOP_PERIOD: Micros = seconds(300);

/** How an IKE SA came to its peer: by way of others. */
export interface Redirected {
  /** As REDIRECTED_FROM names it. */
  readonly from: Uint8Array;
  readonly times: number;
  readonly since: Micros;
}

/** In the initiator's first message. §3. */
export const redirectParts = ({ connection, redirected }: IkeSa): Part[] =>
  redirected !== null
    ? [notifyPart(NotifyType.RedirectedFrom, redirected.from)]
    : connection.followRedirects
      ? [notifyPart(NotifyType.RedirectSupported)]
      : [];

/** Does the sender of a first message go elsewhere when told? */
export const redirectable = (payloads: readonly Payload[]): boolean =>
  notifies(payloads).some((n) => n.type === NotifyType.RedirectSupported || n.type === NotifyType.RedirectedFrom);

/** | kind | length | address | nonce of the initiator, in IKE_SA_INIT … */
export const redirectPart = (to: Uint8Array, nonce: Uint8Array): Part =>
  notifyPart(NotifyType.Redirect, join(Uint8Array.of(to.length === 4 ? Gateway.Ipv4 : Gateway.Ipv6, to.length), to, nonce));

/**
 * Goes where the peer says, if it says so. `nonce`: ours, which an answer to IKE_SA_INIT must repeat, since nothing else shows that the gateway
 * has heard us (§3); null where the message is authentic. True when there was such a notify.
 */
export function redirected(x: Exchanges, sa: IkeSa, payloads: readonly Payload[], nonce: Uint8Array | null): boolean {
  const said = notifies(payloads).find((n) => n.type === NotifyType.Redirect);
  if (said === undefined) return false;
  const { data } = said;
  const octets = data[0] === Gateway.Ipv4 ? 4 : data[0] === Gateway.Ipv6 ? 16 : 0;
  const sound = octets > 0 && data[1] === octets && data.length >= 2 + octets;
  const echo = data.subarray(2 + octets);
  if (!sa.initiator || !sa.connection.followRedirects || !sound || (nonce !== null && !same(echo, nonce))) {
    x.ike.drop(Drop.IkeMalformed);
    return true;
  }
  const { now } = x.ike.ctx;
  const before = sa.redirected !== null && now - sa.redirected.since < LOOP_PERIOD ? sa.redirected : { times: 0, since: now };
  if (before.times >= REDIRECTS_MAX) {
    sa.fail('sent from one gateway to another again and again');
    return true;
  }
  const own = addressOctets(sa.remote);
  const from = join(Uint8Array.of(sa.remote.isV4 ? Gateway.Ipv4 : Gateway.Ipv6, own.length), own);
  const target = readAddress(data.subarray(2, 2 + octets));
  sa.close();
  x.ike.begin(sa.connection, target, sa.firstChild, { from, times: before.times + 1, since: before.since });
  return true;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);
