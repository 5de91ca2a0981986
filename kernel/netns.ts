import fs from 'node:fs';
import net from 'node:net';
import { CLOEXEC, int, NONBLOCK, raw, sys } from './sys.ts';

const NEWNET = 0x40000000,
  DIR = '/run/netns';
const home = fs.openSync('/proc/thread-self/ns/net', 'r');
let inside = false;
/** Call once at start: libuv's pool threads are made lazily and inherit the netns of the thread that makes them. */
export const warmThreadPool = () =>
  Promise.all(Array.from({ length: Number(process.env.UV_THREADPOOL_SIZE ?? 4) }, () => fs.promises.stat('/')));
/** Runs fn on this thread inside the netns. Only synchronous syscalls: no await, no net.connect(), no dns, no fs promises. */
export function inNetns<T>(nsfd: number, fn: () => T): T {
  if (inside) throw new Error('inNetns does not nest');
  sys.setns(nsfd, NEWNET);
  inside = true;
  try {
    const r = fn();
    if (r !== null && typeof r === 'object' && 'then' in r) throw new TypeError('inNetns body must be synchronous');
    return r;
  } finally {
    inside = false;
    if (raw.setns(home, NEWNET) !== 0) process.abort();
  } // never go on in the wrong netns
}
/** Same on-disk form as `ip netns add`, so ip(8) sees it and it outlives this process. */
export function netnsAdd(name: string): number {
  const p = `${DIR}/${name}`;
  fs.mkdirSync(DIR, { recursive: true });
  fs.closeSync(fs.openSync(p, 'wx', 0o444));
  try {
    sys.unshare(NEWNET);
    try {
      sys.mount('/proc/thread-self/ns/net', p, 'none', 4096, null);
    } finally {
      if (raw.setns(home, NEWNET) !== 0) process.abort();
    }
    return fs.openSync(p, 'r');
  } catch (e) {
    fs.rmSync(p, { force: true });
    throw e;
  }
}
export function netnsDel(name: string): void {
  sys.umount2(`${DIR}/${name}`, 2);
  fs.unlinkSync(`${DIR}/${name}`);
}

export function sockaddr(ip: string, port: number): Buffer {
  if (net.isIPv4(ip)) {
    const b = Buffer.alloc(16);
    b.writeUInt16LE(2);
    b.writeUInt16BE(port, 2);
    ip.split('.').forEach((x, i) => {
      b[4 + i] = Number(x);
    });
    return b;
  }
  const b = Buffer.alloc(28),
    [h = '', t] = ip.split('::'),
    f = (s: string) => (s ? s.split(':') : []);
  const a = f(h),
    z = f(t ?? ''),
    w = [...a, ...Array<string>(8 - a.length - z.length).fill('0'), ...z]; // no embedded IPv4 form
  b.writeUInt16LE(10);
  b.writeUInt16BE(port, 2);
  w.forEach((x, i) => b.writeUInt16BE(parseInt(x, 16), 8 + 2 * i));
  return b;
}
export interface TcpOpts {
  ttl?: number;
  minTtl?: number;
  md5?: { peer: string; key: string }[];
  freebind?: boolean;
}
export function tcpMd5(fd: number, peer: string, key: string): void {
  // struct tcp_md5sig, 216 bytes; works on a listener at any time
  const b = Buffer.alloc(216),
    k = Buffer.from(key);
  if (k.length > 80) throw new RangeError('TCP MD5 key over 80 bytes');
  sockaddr(peer, 0).copy(b);
  b.writeUInt16LE(k.length, 130);
  k.copy(b, 136);
  sys.setsockopt(fd, 6, 14, b, 216);
}
function opts(fd: number, v6: boolean, o: TcpOpts): void {
  if (o.ttl) sys.setsockopt(fd, v6 ? 41 : 0, v6 ? 16 : 2, int(o.ttl), 4);
  if (o.minTtl) sys.setsockopt(fd, v6 ? 41 : 0, v6 ? 73 : 21, int(o.minTtl), 4); // GTSM; also drops RSTs sent with a low TTL
  if (o.freebind) sys.setsockopt(fd, 0, 15, int(1), 4);
  for (const m of o.md5 ?? []) tcpMd5(fd, m.peer, m.key);
}
function tcp(nsfd: number, ip: string, o: TcpOpts, f: (fd: number) => void): number {
  return inNetns(nsfd, () => {
    const v6 = net.isIPv6(ip),
      fd = sys.socket(v6 ? 10 : 2, 1 | NONBLOCK | CLOEXEC, 0);
    try {
      opts(fd, v6, o);
      f(fd);
      return fd;
    } catch (e) {
      raw.close(fd);
      throw e;
    }
  });
}
export function listenIn(
  nsfd: number,
  ip: string,
  port: number,
  on: (s: net.Socket) => void,
  o: TcpOpts = {},
): { server: net.Server; fd: number } {
  const fd = tcp(nsfd, ip, o, (s) => {
    sys.setsockopt(s, 1, 2, int(1), 4);
    const a = sockaddr(ip, port);
    sys.bind(s, a, a.length);
    sys.listen(s, 128);
  });
  return { server: net.createServer(on).listen({ fd }), fd }; // server.close() closes fd
}
export function connectIn(nsfd: number, dst: string, port: number, o: TcpOpts & { src?: string } = {}): net.Socket {
  const fd = tcp(nsfd, dst, o, (s) => {
    if (o.src) {
      const a = sockaddr(o.src, 0);
      sys.bind(s, a, a.length);
    }
  });
  return new net.Socket({ fd, manualStart: true, readable: true, writable: true } as net.SocketConstructorOpts).connect(
    { host: dst, port },
  );
}
