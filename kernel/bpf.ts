import fs from 'node:fs';
import { errName, koffi, raw, sys } from './sys.ts';

const L = koffi.load('libbpf.so.1');
const f = {
  open: L.func('void *bpf_object__open_file(const char *p, void *o)'),
  load: L.func('int bpf_object__load(void *o)'),
  close: L.func('void bpf_object__close(void *o)'),
  map: L.func('void *bpf_object__find_map_by_name(void *o, const char *n)'),
  mapFd: L.func('int bpf_map__fd(void *m)'),
  setPin: L.func('int bpf_map__set_pin_path(void *m, const char *p)'),
  prog: L.func('void *bpf_object__find_program_by_name(void *o, const char *n)'),
  progFd: L.func('int bpf_program__fd(void *p)'),
  info: L.func('int bpf_obj_get_info_by_fd(int fd, void *info, _Inout_ uint32_t *len)'),
  get: L.func('int bpf_obj_get(const char *p)'),
  upd: L.func('int bpf_map_update_elem(int fd, const void *k, const void *v, uint64_t fl)'),
  look: L.func('int bpf_map_lookup_elem(int fd, const void *k, void *v)'),
  del: L.func('int bpf_map_delete_elem(int fd, const void *k)'),
  updB: L.func('int bpf_map_update_batch(int fd, const void *k, const void *v, _Inout_ uint32_t *n, void *o)'),
  test: L.func('int bpf_prog_test_run_opts(int fd, void *o)'),
  setPrint: L.func('void *libbpf_set_print(void *f)'),
};
const vsn = koffi.load('libc.so.6').func('int vsnprintf(void *b, size_t n, const char *fmt, void *ap)');
let log = '';
const lb = Buffer.alloc(1 << 16);
f.setPrint(
  koffi.as(
    koffi.register(
      (lvl: number, fmt: string, ap: unknown) => {
        const n = vsn(lb, lb.length, fmt, ap);
        if (lvl <= 1) log += lb.toString('utf8', 0, Math.min(n, lb.length - 1));
        return n;
      },
      koffi.pointer(koffi.proto('int libbpf_print_fn(int lvl, const char *fmt, void *ap)')),
    ),
    'void *',
  ),
);
export class BpfError extends Error {
  readonly code: string;
  constructor(what: string, rc: number) {
    super(`${what}: ${errName(-rc)}${log && '\n' + log}`);
    this.code = errName(-rc);
    log = '';
  }
}
const ok = (what: string, rc: number): number => {
  if (rc < 0) throw new BpfError(what, rc);
  return rc;
};
const PERCPU = new Set([5, 6, 10, 21]);
export class BpfMap {
  // every buffer is checked against the kernel's own sizes: a short one would be read or WRITTEN past its end
  readonly fd: number;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  constructor(fd: number) {
    const b = Buffer.alloc(80);
    ok('map info', f.info(fd, b, [80]));
    this.fd = fd;
    this.type = b.readUInt32LE(0);
    this.keySize = b.readUInt32LE(8);
    this.valueSize = b.readUInt32LE(12);
    this.maxEntries = b.readUInt32LE(16);
    if (PERCPU.has(this.type)) this.valueSize = ((this.valueSize + 7) & ~7) * possibleCpus();
  }
  static pinned(path: string): BpfMap {
    return new BpfMap(ok('bpf_obj_get ' + path, f.get(path)));
  }
  #chk(k: Uint8Array, v?: Uint8Array, n = 1) {
    if (k.length < this.keySize * n || (v && v.length < this.valueSize * n))
      throw new RangeError(`map wants key ${this.keySize}*${n}, value ${this.valueSize}*${n}`);
  }
  set(k: Uint8Array, v: Uint8Array, flags = 0): void {
    this.#chk(k, v);
    ok('map update', f.upd(this.fd, k, v, flags));
  }
  get(k: Uint8Array, v: Uint8Array = Buffer.alloc(this.valueSize)): Uint8Array | undefined {
    this.#chk(k, v);
    const r: number = f.look(this.fd, k, v);
    return r === -2 ? undefined : (ok('map lookup', r), v);
  }
  delete(k: Uint8Array): boolean {
    this.#chk(k);
    const r: number = f.del(this.fd, k);
    return r === -2 ? false : (ok('map delete', r), true);
  }
  /** keep n <= 1024: one call blocks the loop for about 0.5 ms (hash) or 1.5 ms (LPM) */
  setBatch(k: Uint8Array, v: Uint8Array, n: number): void {
    this.#chk(k, v, n);
    const c = [n],
      o = Buffer.alloc(24);
    o.writeBigUInt64LE(24n);
    const r: number = f.updB(this.fd, k, v, c, o);
    if (r < 0) throw Object.assign(new BpfError(`map batch stopped at ${c[0]} of ${n}`, r), { done: c[0] });
  }
  close(): void {
    raw.close(this.fd);
  }
}

export function possibleCpus(): number {
  return fs
    .readFileSync('/sys/devices/system/cpu/possible', 'utf8')
    .trim()
    .split(',')
    .reduce((n, r) => {
      const [a, b = a] = r.split('-').map(Number) as [number, number?];
      return n + b - a + 1;
    }, 0);
}
export class BpfObject {
  #o: unknown;
  constructor(path: string, pinDir?: string, maps: readonly string[] = []) {
    log = '';
    this.#o = f.open(path, null);
    if (!this.#o) throw new BpfError('open ' + path, -koffi.errno());
    for (const m of maps) {
      const p = f.map(this.#o, m);
      if (!p) throw new Error('no map ' + m);
      ok('pin path', f.setPin(p, `${pinDir}/${m}`));
    } // reuses a pinned map of the same shape, EINVAL when it differs
    const rc: number = f.load(this.#o);
    if (rc) {
      f.close(this.#o);
      this.#o = null;
      throw new BpfError('load ' + path, rc);
    }
  }
  progFd(name: string): number {
    const p = f.prog(this.#live(), name);
    if (!p) throw new Error('no program ' + name);
    return ok('prog fd', f.progFd(p));
  }
  map(name: string): BpfMap {
    const m = f.map(this.#live(), name);
    if (!m) throw new Error('no map ' + name);
    return new BpfMap(f.mapFd(m));
  }
  #live(): unknown {
    if (!this.#o) throw new Error('object is closed');
    return this.#o;
  }
  close(): void {
    if (this.#o) f.close(this.#o);
    this.#o = null;
  } // closes all its fds: do not use maps or fds taken from it afterwards
}
export function testRun(
  progFd: number,
  pkt: Uint8Array,
  ctx?: Uint8Array,
  repeat = 1,
): { ret: number; ns: number; data: Buffer } {
  const out = Buffer.alloc(pkt.length + 512),
    a = Buffer.alloc(88); // struct bpf_test_run_opts
  a.writeBigUInt64LE(88n, 0);
  a.writeBigUInt64LE(koffi.address(pkt), 8);
  a.writeBigUInt64LE(koffi.address(out), 16);
  a.writeUInt32LE(pkt.length, 24);
  a.writeUInt32LE(out.length, 28);
  if (ctx) {
    a.writeBigUInt64LE(koffi.address(ctx), 32);
    a.writeBigUInt64LE(koffi.address(ctx), 40);
    a.writeUInt32LE(ctx.length, 48);
    a.writeUInt32LE(ctx.length, 52);
  } // 192-byte __sk_buff: mark at 8, cb[] at 48, ...
  a.writeInt32LE(repeat, 60);
  ok('test_run', f.test(progFd, a));
  return { ret: a.readInt32LE(56), ns: a.readUInt32LE(64), data: out.subarray(0, a.readUInt32LE(28)) };
}
/** Zero-copy reader of a BPF_MAP_TYPE_RINGBUF: drain() between FdWatcher wake-ups of map.fd */
export class RingBuf {
  #c: BigInt64Array;
  #p: BigInt64Array;
  #h: Int32Array;
  readonly buf: Buffer;
  readonly #mask: number;
  constructor(map: BpfMap) {
    const mmap = koffi.load('libc.so.6').func('void *mmap(void *a, size_t l, int p, int fl, int fd, long off)'),
      n = map.maxEntries;
    this.#mask = n - 1;
    this.#c = new BigInt64Array(koffi.view(mmap(null, 4096, 3, 1, map.fd, 0), 4096));
    const d = koffi.view(mmap(null, 4096 + 2 * n, 1, 1, map.fd, 4096), 4096 + 2 * n); // data is mapped twice: records never wrap
    this.#p = new BigInt64Array(d, 0, 1);
    this.#h = new Int32Array(d, 4096);
    this.buf = Buffer.from(d, 4096);
  }
  drain(fn: (buf: Buffer, off: number, len: number) => void, budget = 2000): number {
    let at = Number(Atomics.load(this.#c, 0)),
      n = 0;
    while (n < budget && at < Number(Atomics.load(this.#p, 0))) {
      const off = at & this.#mask,
        h = Atomics.load(this.#h, off >> 2);
      if (h < 0) break; // BPF_RINGBUF_BUSY_BIT
      const len = h & 0x3fffffff;
      try {
        if (!(h & 0x40000000)) fn(this.buf, off + 8, len);
      } finally {
        at += (len + 15) & ~7;
        n++;
        Atomics.store(this.#c, 0, BigInt(at));
      }
    }
    return n;
  }
}
export { sys };
