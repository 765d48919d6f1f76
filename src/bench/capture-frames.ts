import { readFileSync } from 'node:fs';
import { ConfigError } from '../base/errors.js';
import { CapturedFrame } from '../wire/pcap.js';
import { openCapture } from '../wire/pcapng.js';

/** Longest frame without its check sequence. */
const FRAME_MAX = 1_514;

/** A frame of a capture. */
export interface RecordedFrame {
  readonly bytes: Uint8Array;
  /** Microseconds after the first frame. */
  readonly time: number;
}

/** The Ethernet frames of a pcap or pcapng file that a plain Ethernet carries. ConfigError when there are none. */
export function readFrames(file: string): RecordedFrame[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      `bench: ${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message}`,
    );
  }
  const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const frames: RecordedFrame[] = [];
  let first: number | null = null;
  for (const frame = new CapturedFrame(); reader?.next(frame); ) {
    if (frame.end - frame.start > FRAME_MAX) continue;
    first ??= frame.time;
    frames.push({ bytes: bytes.slice(frame.start, frame.end), time: Math.max(0, frame.time - first) });
  }
  if (frames.length === 0) throw new ConfigError(`bench: ${file} holds no Ethernet frames of at most 1518 octets`);
  return frames;
}
