import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Frames tshark calls malformed, short, or of a wrong checksum, one line each with its number and summary; '' when there are none.
 * It looks at segments, not at streams: what a kernel sends again in other pieces it would call a malformed stream.
 */
export async function problems(file: string, extra: readonly string[] = []): Promise<string> {
  const checks = ['ip', 'tcp', 'udp']
    .flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`])
    .concat('-o', 'tcp.desegment_tcp_streams:FALSE');
  const wrong = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'].map((protocol) => `${protocol}.checksum.status == 0`).join(' || ');
  const filter = `_ws.malformed || _ws.short || ${wrong}`;
  const { stdout } = await run('tshark', ['-n', '-2', '-r', file, ...checks, ...extra, '-Y', filter], { maxBuffer: 1 << 26 });
  return stdout;
}

/** Fields of the frames that match a display filter, a row each. */
export async function fields(file: string, filter: string, names: readonly string[], extra: readonly string[] = []): Promise<string[][]> {
  const { stdout } = await run('tshark', ['-n', '-2', '-r', file, ...extra, '-Y', filter, '-T', 'fields', ...names.flatMap((name) => ['-e', name])], {
    maxBuffer: 1 << 26,
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}
