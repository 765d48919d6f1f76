/** Sockets of ours with a TLS socket of Node above: node:tls reaches them through its JSStreamSocket, a wrapper for streams that are not its own. */
import type { Duplex } from 'node:stream';

/**
 * Is this 'data' listener that of the wrapper? It has this error in it, and there is no other sign: TLS sockets over ours
 * are made by node:tls itself, in servers of https, by libraries.
 */
export const isTlsReader = (listener: { readonly name: string }): boolean =>
  listener.name === 'ondata' && String(listener).includes('ERR_STREAM_WRAP');

/** A socket of ours as this file needs it. */
interface Carrier extends Duplex {
  readonly _state: { carriesTls: boolean };
}

/**
 * From here on the TLS socket above decides about the end: ours neither answers FIN by itself (TLS may have more to write)
 * nor closes while the one above has something to be read, which it would lose.
 */
export function carryTls(socket: Carrier): void {
  socket._state.carriesTls = true;
  const { _readableState: readable, _writableState: writable } = socket as unknown as Record<
    '_readableState' | '_writableState',
    { autoDestroy: boolean }
  >;
  readable.autoDestroy = false;
  writable.autoDestroy = false;
}

const ADDRESSES = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily'] as const;

/** A TLS socket asks its native handle for addresses, which a wrapped stream has not: it shows those of the socket beneath. */
export function showAddresses(secure: Duplex, beneath: Duplex): void {
  const from = beneath as unknown as Record<(typeof ADDRESSES)[number], unknown>;
  for (const name of ADDRESSES) Object.defineProperty(secure, name, { get: () => from[name], configurable: true });
}

/** The listener of 'secureConnection' that does it for a server's sockets. */
export function showCarrier(secure: Duplex & { readonly ssl?: { readonly _parentWrap?: { readonly stream?: Duplex } } }): void {
  const beneath = secure.ssl?._parentWrap?.stream;
  if (beneath !== undefined) showAddresses(secure, beneath);
}
