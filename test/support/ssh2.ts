/** What the tests use of ssh2, which brings no types. */
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

interface Channel extends Duplex {
  exit(status: number): void;
}

interface Session {
  on(event: 'exec', listener: (agree: () => Channel, refuse: () => void, asked: { readonly command: string }) => void): unknown;
}

interface Guest {
  on(event: 'authentication', listener: (asked: { accept(): void }) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
  on(event: 'session', listener: (accept: () => Session) => void): unknown;
}

interface Client {
  on(event: 'ready' | 'close', listener: () => void): Client;
  on(event: 'error', listener: (error: Error) => void): Client;
  connect(options: { readonly sock: Duplex; readonly username: string; readonly privateKey: string | Buffer }): void;
  exec(command: string, done: (error: Error | undefined, channel: Channel) => void): void;
  end(): void;
}

interface Ssh2 {
  readonly Client: new () => Client;
  readonly Server: new (options: { readonly hostKeys: readonly string[] }, guest: (guest: Guest) => void) => { injectSocket(socket: Duplex): void };
  readonly utils: { generateKeyPairSync(type: 'ed25519'): { readonly private: string; readonly public: string } };
}

const { Client: SshClient, Server: SshServer, utils: sshKeys } = createRequire(import.meta.url)('ssh2') as Ssh2;

export { SshClient, sshKeys };

/** A server that lets everybody in, and says which command it was asked to run. */
export function repeatingShell(): { injectSocket(socket: Duplex): void } {
  const { private: hostKey } = sshKeys.generateKeyPairSync('ed25519');
  return new SshServer({ hostKeys: [hostKey] }, (guest) => {
    guest.on('authentication', (asked) => asked.accept());
    guest.on('error', () => {});
    guest.on('session', (accept) =>
      accept().on('exec', (agree, _refuse, { command }) => {
        const channel = agree();
        channel.write(`ran ${command}`);
        channel.exit(0);
        channel.end();
      }),
    );
  });
}
