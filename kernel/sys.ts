/**
 * libc through koffi: the system calls that Node lacks. With `bpf/libbpf.ts` and `fdwatch.ts` the only FFI of the project. A
 * buffer that is too short is read or WRITTEN past its end, so callers outside this folder see typed functions only.
 */
import koffi, { type KoffiFunc } from 'koffi';

const libc = koffi.load('libc.so.6');
const declare = <T extends (...a: never[]) => unknown>(prototype: string): KoffiFunc<T> =>
  libc.func(prototype) as unknown as KoffiFunc<T>;
type Buf = Uint8Array | null;

/** Straight calls: the result is -1 on failure, `lastErrno()` tells why. */
export const raw = {
  setns: declare<(fd: number, type: number) => number>('int setns(int fd, int type)'),
  unshare: declare<(flags: number) => number>('int unshare(int flags)'),
  mount: declare<(source: string, target: string, fs: string, flags: number, data: null) => number>(
    'int mount(const char *source, const char *target, const char *fs, ulong flags, void *data)',
  ),
  umount2: declare<(target: string, flags: number) => number>('int umount2(const char *target, int flags)'),
  close: declare<(fd: number) => number>('int close(int fd)'),
  socket: declare<(domain: number, type: number, protocol: number) => number>(
    'int socket(int domain, int type, int protocol)',
  ),
  bind: declare<(fd: number, address: Buf, length: number) => number>(
    'int bind(int fd, const void *address, uint32_t length)',
  ),
  connect: declare<(fd: number, address: Buf, length: number) => number>(
    'int connect(int fd, const void *address, uint32_t length)',
  ),
  setsockopt: declare<(fd: number, level: number, option: number, value: Buf, length: number) => number>(
    'int setsockopt(int fd, int level, int option, const void *value, uint32_t length)',
  ),
  getsockopt: declare<(fd: number, level: number, option: number, value: Buf, length: [number]) => number>(
    'int getsockopt(int fd, int level, int option, _Out_ void *value, _Inout_ uint32_t *length)',
  ),
  send: declare<(fd: number, bytes: Buf, length: number, flags: number) => number>(
    'long send(int fd, const void *bytes, size_t length, int flags)',
  ),
  recv: declare<(fd: number, bytes: Buf, length: number, flags: number) => number>(
    'long recv(int fd, void *bytes, size_t length, int flags)',
  ),
} as const;

export const lastErrno = (): number => koffi.errno();

const ALIASES = ['EWOULDBLOCK', 'EDEADLOCK', 'ENOTSUP'];
const names = new Map(
  Object.entries(koffi.os.errno)
    .filter(([name]) => !ALIASES.includes(name))
    .map(([name, number]) => [number, name]),
);
/** 17 → `EEXIST`. */
export const errnoName = (errno: number): string => names.get(errno) ?? `E${errno}`;
export const ENOENT = koffi.os.errno.ENOENT ?? 2;

/** A failed system call; `code` as in Node's own errors. */
export class SysError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  constructor(syscall: string, errno: number, detail = '') {
    super(`${syscall}: ${errnoName(errno)}${detail && `: ${detail}`}`);
    this.code = errnoName(errno);
    this.errno = errno;
    this.syscall = syscall;
  }
}

type Calls = typeof raw;
/** The same calls, throwing SysError. */
export const sys = Object.fromEntries(
  Object.entries(raw).map(([name, call]) => [
    name,
    (...parameters: unknown[]) => {
      const result = (call as (...p: unknown[]) => number)(...parameters);
      if (result < 0) throw new SysError(name, lastErrno());
      return result;
    },
  ]),
) as { [K in keyof Calls]: (...a: Parameters<Calls[K]>) => number };

/** An `int` for setsockopt. */
export function int(n: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeInt32LE(n);
  return b;
}

export const SOCK_CLOEXEC = 0o2000000;
