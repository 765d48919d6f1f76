import http from 'node:http';
import type { Net } from './net.js';

/** What a stack offers of `node:http`: servers that listen on it, and requests that go out by it. */
export interface Http {
  /** `http.createServer`, whose `listen` is the stack's. */
  createServer(listener?: http.RequestListener): http.Server;
  createServer(options: http.ServerOptions, listener?: http.RequestListener): http.Server;
  /** For `http.request({ agent })` and whatever takes an agent. */
  readonly agent: http.Agent;
  /** `http.request` and `http.get` with that agent. */
  request(url: string | URL, options?: http.RequestOptions, onResponse?: (response: http.IncomingMessage) => void): http.ClientRequest;
  get(url: string | URL, onResponse?: (response: http.IncomingMessage) => void): http.ClientRequest;
}

/** Node's own http over the sockets of `net`. */
export function createHttp(net: Net): Http {
  const agent = new http.Agent();
  Object.assign(agent, { createConnection: (...args: unknown[]) => net.createConnection(...args) });
  const request: Http['request'] = (url, options = {}, onResponse) => http.request(url, { ...options, agent }, onResponse);
  return {
    agent,
    request,
    createServer: (first?: unknown, second?: unknown) => net.adopt(http.createServer(first as http.ServerOptions, second as http.RequestListener)),
    get: (url, onResponse) => request(url, {}, onResponse).end(),
  };
}
