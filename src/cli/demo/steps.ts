import { createWriteStream } from 'node:fs';
import { kernelBulk } from './kernel-peer.js';
import { LOSS, type Place } from './place.js';

/** One measured line. */
export interface Line {
  readonly label: string;
  readonly text: string;
  readonly ok: boolean;
}

/** Milliseconds of one bulk transfer, and of the kernel's beside it: the machine may be busy, so both are taken at one time. */
const BULK_MS = 1_000;
const KERNEL_MS = 500;

interface Step {
  readonly label: string;
  run(place: Place): Promise<{ readonly text: string; readonly ok: boolean }>;
}

const rate = (megabytes: number): string => `${megabytes >= 100 ? Math.round(megabytes).toLocaleString('en') : megabytes.toFixed(1)} MB/s`;

/** All there is to show, in the order it is shown. Each takes a second or less. */
function steps(capture: { readonly path: string; frames: number }): Step[] {
  return [
    {
      label: 'stack started',
      run: async ({ ms, kilobytes, stack }) => {
        await stack.ready;
        return { text: `${ms.toFixed(1)} ms, ${kilobytes.toLocaleString('en')} KB`, ok: true };
      },
    },
    {
      label: 'ping',
      run: async ({ peer, address }) => {
        const { rtt, received, sent } = await peer.ping(address);
        return { text: `${rtt.toFixed(3)} ms round trip from the ${peer.name}, ${received} of ${sent} answered`, ok: received === sent };
      },
    },
    {
      label: 'status page',
      run: async ({ peer, address }) => {
        const { by, status, octets, ms } = await peer.fetch(address, '/');
        return { text: `${status} by ${by}, ${octets.toLocaleString('en')} octets in ${ms.toFixed(1)} ms`, ok: status === 200 && octets > 0 };
      },
    },
    {
      label: 'IPv6',
      run: async ({ peer, address6 }) => {
        if (address6 === null) return { text: 'the kernel has none', ok: true };
        const { received, sent } = await peer.ping(address6);
        const { by, status, ms } = await peer.fetch(`[${address6}]`, '/');
        return {
          text: `${received} of ${sent} pings answered, status page ${status} by ${by} in ${ms.toFixed(1)} ms`,
          ok: received > 0 && status === 200,
        };
      },
    },
    {
      label: 'bulk in',
      run: async ({ peer, address }) => {
        const kernel = await kernelRate();
        const { megabytesPerSecond } = await peer.bulk(address, 'in', BULK_MS);
        return { text: `${rate(megabytesPerSecond)} from the ${peer.name}${kernel}`, ok: megabytesPerSecond > 0 };
      },
    },
    {
      label: 'bulk out',
      run: async ({ peer, address }) => {
        const kernel = await kernelRate();
        const { megabytesPerSecond, intact } = await peer.bulk(address, 'out', BULK_MS);
        return { text: `${rate(megabytesPerSecond)} to the ${peer.name}${kernel}`, ok: megabytesPerSecond > 0 && intact };
      },
    },
    {
      label: `${LOSS * 100} % loss`,
      run: async ({ peer, stack, lossy }) => {
        const count = (): number => stack.nstat({ zeros: true }).counters['TcpRetransSegs'] as number;
        const before = count();
        const { megabytesPerSecond, intact } = await peer.bulk(lossy, 'out', BULK_MS);
        const again = count() - before;
        return {
          text: `${rate(megabytesPerSecond)} out, ${again.toLocaleString('en')} segments sent again, ${intact ? 'every octet right' : 'OCTETS WRONG'}`,
          ok: intact && again > 0,
        };
      },
    },
    {
      label: 'tunable, live',
      run: async ({ peer, stack, address }) => {
        const before = stack.sysctl.get('net.ipv4.icmp_echo_ignore_all');
        stack.sysctl.set('net.ipv4.icmp_echo_ignore_all', 1);
        const silent = await answered(() => peer.ping(address));
        stack.sysctl.set('net.ipv4.icmp_echo_ignore_all', before);
        const again = await answered(() => peer.ping(address));
        return { text: `icmp_echo_ignore_all=1: ${silent} of 10 pings answered; =0 again: ${again}`, ok: silent === 0 && again > 0 };
      },
    },
    { label: 'capture', run: async () => ({ text: `${capture.path}, ${capture.frames} frames of ping and status page`, ok: capture.frames > 0 }) },
  ];
}

async function kernelRate(): Promise<string> {
  const found = await kernelBulk(KERNEL_MS);
  return found === null ? ' (no kernel loopback to compare with)' : ` (kernel to kernel over loopback: ${rate(found.megabytesPerSecond)})`;
}

async function answered(ping: () => Promise<{ received: number }>): Promise<number> {
  return (await ping()).received;
}

/** Drives the stack and tells each line as it is measured. A step that fails is told like the others. */
export async function drive(place: Place, capturePath: string, tell: (line: Line) => void): Promise<boolean> {
  const capture = { path: capturePath, frames: 0 };
  const file = createWriteStream(capturePath, { mode: 0o600 });
  const running = place.stack.capture(file, { iface: 'eth0' });
  let all = true;
  for (const { label, run } of steps(capture)) {
    if (label === 'bulk in') {
      // What follows would fill the disk, and would be slower for it.
      capture.frames = (await running.stop()).frames;
      await new Promise<void>((resolve) => file.end(() => resolve()));
    }
    let line: { text: string; ok: boolean };
    try {
      line = await run(place);
    } catch (error) {
      line = { text: `failed: ${(error as Error).message}`, ok: false };
    }
    all &&= line.ok;
    tell({ label, ...line });
  }
  return all;
}
