import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';

/** A program for a page: two stacks on a cable, and a small transfer between them. */
const PROGRAM = `
import { connect, createBrowserHost, listen, memoryLink, parsePrefix, Stack, Sysctl, udp } from './core.js';

export async function run() {
  const cable = memoryLink();
  const events = { failed(error) { throw error; }, conflict() {}, link() {} };
  const stacks = cable.map((device, i) => {
    const stack = new Stack('page' + i, createBrowserHost(), new Sysctl(), events);
    stack.addAddress(stack.addInterface('eth0', device), parsePrefix('10.0.0.' + (i + 1) + '/24'));
    return stack;
  });
  const [a, b] = stacks;
  const listener = listen(b, { port: 80 });
  const client = connect(a, { address: '10.0.0.2', port: 80 });
  const { value: server } = await listener.next();
  const echoed = server.readable.pipeTo(server.writable);
  const sent = new Uint8Array(300000).map((_, i) => i % 251);
  const writer = client.writable.getWriter();
  writer.write(sent).then(() => writer.close());
  let octets = 0;
  let same = true;
  for await (const chunk of client) for (const octet of chunk) same = octet === octets++ % 251 && same;
  await echoed;
  const socket = udp(b, { port: 53 });
  udp(a).send(new Uint8Array([7]), '10.0.0.2', 53);
  const { value: datagram } = await socket.next();
  listener.close();
  for (const stack of stacks) stack.close();
  return { octets, same, datagram: datagram.data[0] };
}
`;

/** What a page has and a module of ours may name; nothing of Node. */
const WEB = [
  'AbortController',
  'ByteLengthQueuingStrategy',
  'MessageChannel',
  'ReadableStream',
  'TextDecoder',
  'TextEncoder',
  'WritableStream',
  'clearTimeout',
  'console',
  'crypto',
  'performance',
  'queueMicrotask',
  'setTimeout',
] as const;

describe('anystack/core', () => {
  const dist = fileURLToPath(new URL('../../../dist', import.meta.url));

  it('bundles for a browser without anything of Node, and runs there', async () => {
    const result = await build({
      stdin: { contents: PROGRAM, resolveDir: dist },
      bundle: true,
      platform: 'browser',
      format: 'iife',
      globalName: 'page',
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    assert.deepEqual([result.errors, result.warnings], [[], []]);
    const imports = Object.values(result.metafile.inputs).flatMap((input) => input.imports);
    assert.deepEqual(
      imports.filter(({ path, external }) => external || path.startsWith('node:')),
      [],
    );
    const text = result.outputFiles[0]?.text ?? '';
    assert.doesNotMatch(text, /\brequire\(|\bprocess\.|\bBuffer\./);
    const context = createContext(Object.fromEntries(WEB.map((name) => [name, globalThis[name]])));
    runInContext(text, context);
    const page = (context as { page: { run(): Promise<unknown> } }).page;
    assert.deepEqual({ ...((await page.run()) as object) }, { octets: 300_000, same: true, datagram: 7 });
  });
});
