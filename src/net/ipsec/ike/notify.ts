/** Notify payloads and the look for payloads in a message. */
import { type Part, type Payload, PayloadType } from '../../../wire/ike.js';
import { type Notify, putNotify, readNotify } from '../../../wire/ike-payload.js';

/** A Notify payload to be sent. */
export const notifyPart = (type: number, data?: Uint8Array, protocol?: number, spi?: Uint8Array): Part => ({
  type: PayloadType.Notify,
  body: putNotify(type, data, protocol, spi),
});

/** All sound Notify payloads. */
export function notifies(payloads: readonly Payload[]): Notify[] {
  return payloads.filter((p) => p.type === PayloadType.Notify).flatMap((p) => readNotify(p.body) ?? []);
}

/** The first payload of a type. */
export const find = (payloads: readonly Payload[], type: number): Payload | null => payloads.find((p) => p.type === type) ?? null;

/** The first error among the notifies, or null. */
export const errorOf = (payloads: readonly Payload[]): Notify | null => notifies(payloads).find((n) => n.type < 16_384) ?? null;
