import * as net from 'node:net';

/**
 * Node's own classes as they were when this was loaded: a preload (install.ts) may later put ours in their place, and an
 * import of the name would follow it.
 */
export const HostSocket = net.Socket;
/** An instance of Node's own. */
export type HostSocket = net.Socket;
/** Node's own server class. */
export const HostServer = net.Server;
/** An instance of Node's own. */
export type HostServer = net.Server;
