import * as dgram from 'node:dgram';
import * as dns from 'node:dns';
import * as net from 'node:net';

/**
 * Node's own network as it was when this was loaded: a preload (install.ts) may later put ours in its place, and an
 * import of the name would follow it.
 */
export const HostSocket = net.Socket;
/** An instance of Node's own. */
export type HostSocket = net.Socket;
/** Node's own server class. */
export const HostServer = net.Server;
/** An instance of Node's own. */
export type HostServer = net.Server;
/** Node's own `listen`, which a preload replaces in the prototype. Called with a server as this. */
export const hostListen = net.Server.prototype.listen;
/** Node's own datagram sockets. */
export const hostDatagrams = dgram.createSocket;
/** The host's names. */
export const hostLookup = dns.lookup;
