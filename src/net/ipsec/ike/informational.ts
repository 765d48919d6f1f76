/** INFORMATIONAL: deletes, errors, and the empty one that asks for a sign of life. RFC 7296 §1.4. */
import { Exchange, NotifyType, type Part, type Payload, PayloadType, viewOf } from '../../../wire/ike.js';
import { putDelete, readDelete } from '../../../wire/ike-payload.js';
import { SaProtocol } from '../../../wire/ike-sa.js';
import type { ChildSa } from './child-sa.js';
import { spiOctets } from './create-child.js';
import type { Exchanges } from './exchanges.js';
import type { IkeSa } from './ike-sa.js';
import { answerMobike } from './mobike.js';
import { errorOf } from './notify.js';
import { redirected } from './redirect.js';

/** Answers whatever the peer has to tell. */
export function answerInformational(x: Exchanges, sa: IkeSa, payloads: readonly Payload[]): void {
  const answer: Part[] = answerMobike(x, sa, payloads);
  const gone: number[] = [];
  let whole = false;
  for (const payload of payloads) {
    if (payload.type !== PayloadType.Delete) continue;
    const deleted = readDelete(payload.body);
    if (deleted === null) continue;
    if (deleted.protocol === SaProtocol.Ike) whole = true;
    else if (deleted.protocol === SaProtocol.Esp) for (const spi of deleted.spis) if (spi.length === 4) gone.push(viewOf(spi).getUint32(0));
  }
  // RFC 7296 §1.4.1: the answer to a delete names the other direction; of pairs that we are deleting ourselves nothing.
  const ours: Uint8Array[] = [];
  for (const spi of gone) {
    const child = sa.children.find((c) => c.outbound.spi === spi);
    if (child === undefined) continue;
    if (!child.deleting) ours.push(spiOctets(child.inbound.spi));
    child.remove(true);
  }
  if (ours.length > 0) answer.push({ type: PayloadType.Delete, body: putDelete(SaProtocol.Esp, ours) });
  sa.respond(Exchange.Informational, answer);
  const wrong = errorOf(payloads);
  if (whole) x.deletedByPeer(sa);
  else if (redirected(x, sa, payloads, null)) return;
  else if (wrong?.type === NotifyType.AuthenticationFailed) sa.fail('the peer does not accept our authentication');
}

/** Takes a child away at both ends. */
export function startDelete(sa: IkeSa, child: ChildSa, linger: boolean): void {
  if (child.deleting) return;
  child.deleting = true;
  sa.request({
    exchange: Exchange.Informational,
    build: () =>
      sa.children.includes(child) ? [{ type: PayloadType.Delete, body: putDelete(SaProtocol.Esp, [spiOctets(child.inbound.spi)]) }] : null,
    done: () => child.remove(linger),
  });
}
