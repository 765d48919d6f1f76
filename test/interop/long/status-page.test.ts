/** The status page in a browser: Chromium without a screen, driven over its DevTools protocol, reaches it by a forward of the host. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { type AnyStack, createStack } from '#src/index.js';
import { freePort } from '../../support/host-sockets.js';
import { needs } from '../../support/requirements.js';

describe('status page in Chromium', function () {
  this.timeout(120_000);
  let stack: AnyStack;
  let browser: ChildProcess;
  let page: WebSocket;
  let asked = 0;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-chromium-'));

  const call = async (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    const id = ++asked;
    page.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [text] = (await once(page, 'message')) as [Buffer];
      const answer = JSON.parse(String(text)) as { id?: number; result?: Record<string, unknown> };
      if (answer.id === id) return answer.result ?? {};
    }
  };
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result } = (await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })) as { result: { value?: unknown } };
    return result.value;
  };
  const holds = async (expression: string): Promise<void> => {
    while ((await evaluate(expression)) !== true) await new Promise((resolve) => setTimeout(resolve, 100));
  };

  before(async function () {
    needs(this, 'peer:chromium');
    const port = await freePort();
    stack = createStack({
      name: 'plant',
      services: { http: { capture: true } },
      forwards: [{ from: `host:127.0.0.1:${port}`, to: 'stack:127.0.0.1:80' }],
    });
    await stack.ready;
    const words = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-port=0',
      `--user-data-dir=${folder}`,
    ];
    browser = spawn('chromium', [...words, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    while (!said.includes('DevTools listening on')) said += String(((await once(browser.stderr as NodeJS.ReadableStream, 'data')) as [Buffer])[0]);
    const [, devtools = ''] = /ws:\/\/([^/]+)\//.exec(said) ?? [];
    const targets = (await (await fetch(`http://${devtools}/json`)).json()) as { type: string; webSocketDebuggerUrl: string }[];
    page = new WebSocket(targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl ?? '');
    await once(page, 'open');
    await call('Emulation.setDeviceMetricsOverride', { width: 360, height: 740, deviceScaleFactor: 3, mobile: true });
    await call('Page.navigate', { url: `http://127.0.0.1:${port}/` });
  });
  after(async () => {
    page?.close();
    if (browser !== undefined) {
      browser.kill('SIGKILL');
      await once(browser, 'exit');
    }
    await stack?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows tables and draws graphs that grow', async () => {
    await holds(`document.title === 'plant' && graphs[0].data[0].length > 1`);
    const titles = (await evaluate(`[...document.querySelectorAll('main h2')].map((h) => h.textContent.split(' ')[0]).join()`)) as string;
    assert.match(titles, /^Interfaces,Sockets,/);
    assert.equal(await evaluate(`document.querySelectorAll('#graphs canvas').length`), 3);
    await holds(`graphs[2].data[1].some((ms) => ms > 0)`);
  });

  it("fits a phone's screen: nothing to scroll sideways but inside the tables", async () => {
    assert.equal(await evaluate(`document.documentElement.scrollWidth <= innerWidth`), true);
    assert.equal(await evaluate(`innerWidth`), 360);
  });

  it('is dark for who likes it dark', async () => {
    const colours = async (scheme: string): Promise<unknown> => {
      await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      return evaluate(`getComputedStyle(document.documentElement).colorScheme + getComputedStyle(document.body).color`);
    };
    assert.notEqual(await colours('dark'), await colours('light'));
    assert.equal(await evaluate(`document.querySelectorAll('#graphs canvas').length`), 3);
  });

  it('offers the capture where it is allowed, and nothing that changes the stack', async () => {
    await holds(`document.getElementById('capture').hidden === false`);
    assert.equal(await evaluate(`document.querySelectorAll('form').length`), 1);
    assert.equal(
      await evaluate(`fetch('/capture.pcapng?seconds=1').then((r) => r.arrayBuffer()).then((b) => new DataView(b).getUint32(0) === 0x0a0d0d0a)`),
      true,
    );
  });
});
