import koffi, { type KoffiFunc } from 'koffi';

const C = koffi.load('libc.so.6');
const fn = <T extends (...a: never[]) => unknown>(decl: string) => C.func(decl) as unknown as KoffiFunc<T>;
type Buf = Uint8Array | null;
export const raw = {
  setns: fn<(fd: number, t: number) => number>('int setns(int fd, int t)'),
  unshare: fn<(f: number) => number>('int unshare(int f)'),
  mount: fn<(s: string, t: string, fs: string, f: number, d: null) => number>(
    'int mount(const char *s, const char *t, const char *fs, ulong f, void *d)',
  ),
  umount2: fn<(t: string, f: number) => number>('int umount2(const char *t, int f)'),
  open: fn<(p: string, f: number) => number>('int open(const char *p, int f)'),
  close: fn<(fd: number) => number>('int close(int fd)'),
  socket: fn<(d: number, t: number, p: number) => number>('int socket(int d, int t, int p)'),
  bind: fn<(fd: number, a: Buf, n: number) => number>('int bind(int fd, const void *a, uint32_t n)'),
  listen: fn<(fd: number, b: number) => number>('int listen(int fd, int b)'),
  setsockopt: fn<(fd: number, l: number, o: number, v: Buf, n: number) => number>(
    'int setsockopt(int fd, int l, int o, const void *v, uint32_t n)',
  ),
  send: fn<(fd: number, b: Buf, n: number, f: number) => number>('long send(int fd, const void *b, size_t n, int f)'),
  recv: fn<(fd: number, b: Buf, n: number, f: number) => number>('long recv(int fd, void *b, size_t n, int f)'),
  read: fn<(fd: number, b: Buf, n: number) => number>('long read(int fd, void *b, size_t n)'),
  write: fn<(fd: number, b: Buf, n: number) => number>('long write(int fd, const void *b, size_t n)'),
  ioctl: fn<(fd: number, r: number, a: Buf) => number>('int ioctl(int fd, ulong r, void *a)'),
  ifIndex: fn<(n: string) => number>('uint32_t if_nametoindex(const char *n)'),
};
const names = new Map(Object.entries(koffi.os.errno).map(([k, v]) => [v, k]));
export const errName = (e: number) => names.get(e) ?? `E${e}`;
export class SysError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  constructor(syscall: string, errno: number, detail = '') {
    super(`${syscall}: ${errName(errno)}${detail && ': ' + detail}`);
    this.code = errName(errno);
    this.errno = errno;
    this.syscall = syscall;
  }
}
type Raw = typeof raw;
export const sys = Object.fromEntries(
  Object.entries(raw).map(([k, f]) => [
    k,
    (...a: unknown[]) => {
      const r = (f as (...x: unknown[]) => number)(...a);
      if (r < 0) throw new SysError(k, koffi.errno());
      return r;
    },
  ]),
) as { [K in keyof Raw]: (...a: Parameters<Raw[K]>) => number };
export const int = (n: number) => {
  const b = Buffer.alloc(4);
  b.writeInt32LE(n | 0);
  return b;
};
export const NONBLOCK = 0o4000,
  CLOEXEC = 0o2000000;
export { koffi };
