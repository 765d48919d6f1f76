/** The calls of libc that a device needs, through koffi: a package that calls C functions, where no addon can be built. */
import { createRequire } from 'node:module';

/** Buffers are typed arrays; what a call leaves in errno is to be asked for at once. */
export interface Libc {
  open(path: string, flags: number): number;
  close(fd: number): number;
  ioctl(fd: number, request: number, data: Uint8Array): number;
  ioctlInt(fd: number, request: number, value: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  send(fd: number, data: Uint8Array, length: number, flags: number): number;
  recv(fd: number, data: Uint8Array, length: number, flags: number): number;
  setns(fd: number, kind: number): number;
  readv(fd: number, iov: Uint8Array, count: number): number;
  writev(fd: number, iov: Uint8Array, count: number): number;
  fcntl(fd: number, command: number, value: number): number;
  /** poll(2) on a thread of the pool. */
  wait(fds: Uint8Array, count: number, timeoutMs: number, done: (ready: number) => void): void;
  errno(): number;
  address(bytes: Uint8Array): number;
}

interface Koffi {
  load(path: null): { func(definition: string): ((...values: unknown[]) => number) & { async(...values: unknown[]): void } };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** Null where koffi is not installed or not for this platform. */
export function loadLibc(): Libc | null {
  if (process.platform !== 'linux' || process.env['ANYSTACK_NO_FFI'] !== undefined) return null;
  try {
    return libc(createRequire(import.meta.url)('koffi') as Koffi);
  } catch {
    return null;
  }
}

function libc(koffi: Koffi): Libc {
  const c = koffi.load(null);
  const poll = c.func('int poll(void *fds, unsigned long count, int timeout)');
  return {
    open: c.func('int open(const char *path, int flags)'),
    close: c.func('int close(int fd)'),
    ioctl: c.func('int ioctl(int fd, unsigned long request, void *data)'),
    ioctlInt: c.func('int ioctl(int fd, unsigned long request, long value)'),
    socket: c.func('int socket(int domain, int type, int protocol)'),
    bind: c.func('int bind(int fd, void *address, uint32_t length)'),
    send: c.func('long send(int fd, void *data, unsigned long length, int flags)'),
    recv: c.func('long recv(int fd, void *data, unsigned long length, int flags)'),
    setns: c.func('int setns(int fd, int kind)'),
    readv: c.func('long readv(int fd, void *iov, int count)'),
    writev: c.func('long writev(int fd, void *iov, int count)'),
    fcntl: c.func('int fcntl(int fd, int command, long value)'),
    wait: (fds, count, timeoutMs, done) => poll.async(fds, count, timeoutMs, (_error: unknown, ready: number) => done(ready)),
    errno: () => koffi.errno(),
    address: (bytes) => Number(koffi.address(bytes)),
  };
}
