import { inNetns } from './netns.ts';
import { CLOEXEC, errName, int, koffi, raw, sys } from './sys.ts';
export type Attr = readonly [type: number, value: number | string | Uint8Array | readonly Attr[]]; // u32 | NUL-ended string | bytes | nested
export const F = { ACK: 4, DUMP: 0x300, REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400, APPEND: 0x800 } as const;
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  NEWRULE: 32,
  DELRULE: 33,
  NEWQDISC: 36,
  DELQDISC: 37,
  NEWTCLASS: 40,
  NEWTFILTER: 44,
  DELTFILTER: 45,
  NEWNSID: 88,
} as const;
export class Batch {
  buf: Buffer = Buffer.alloc(4096);
  len = 0;
  readonly starts: number[] = [];
  #room(n: number) {
    if (this.len + n > this.buf.length) {
      const b = Buffer.alloc(Math.max(this.buf.length * 2, this.len + n));
      this.buf.copy(b);
      this.buf = b;
    }
  }
  add(type: number, flags: number, hdr: Uint8Array, attrs: readonly Attr[] = []): this {
    this.#room(16 + hdr.length + 4);
    const s = this.len;
    this.starts.push(s);
    this.buf.writeUInt16LE(type, s + 4);
    this.buf.writeUInt16LE(flags | 1, s + 6);
    this.buf.set(hdr, s + 16);
    this.len = s + 16 + ((hdr.length + 3) & ~3);
    this.attrs(attrs);
    this.buf.writeUInt32LE(this.len - s, s);
    return this;
  }
  attrs(list: readonly Attr[]): this {
    for (const [t, v] of list) {
      this.#room(4);
      const s = this.len;
      this.len += 4;
      let nested = 0;
      if (Array.isArray(v)) {
        nested = 0x8000;
        this.attrs(v as readonly Attr[]);
      } else {
        const p = typeof v === 'number' ? int(v) : typeof v === 'string' ? Buffer.from(v + '\0') : (v as Uint8Array);
        this.#room(p.length + 4);
        this.buf.set(p, this.len);
        this.len += p.length;
      }
      this.buf.writeUInt16LE(this.len - s, s);
      this.buf.writeUInt16LE(t | nested, s + 2);
      this.#room(4);
      while (this.len & 3) this.buf[this.len++] = 0;
    }
    return this;
  }
}
export class NlError extends Error {
  readonly code: string;
  readonly index: number;
  constructor(errno: number, text: string, index: number) {
    super(`netlink message ${index}: ${errName(errno)}${text && ': ' + text}`);
    this.code = errName(errno);
    this.index = index;
  }
}
const rb = Buffer.alloc(1 << 16);
export class Netlink {
  readonly fd: number;
  #seq = 1;
  constructor(nsfd?: number, proto = 0) {
    const mk = () => sys.socket(16, 3 | CLOEXEC, proto);
    this.fd = nsfd === undefined ? mk() : inNetns(nsfd, mk);
    const sa = Buffer.alloc(12);
    sa.writeUInt16LE(16);
    sys.bind(this.fd, sa, 12);
    for (const o of [10 /* CAP_ACK */, 11 /* EXT_ACK */, 12 /* GET_STRICT_CHK */])
      sys.setsockopt(this.fd, 270, o, int(1), 4);
  }
  close(): void {
    raw.close(this.fd);
  }
  /** One sendto() for the whole batch; the kernel has run it all when it returns. NOT atomic: messages after a failed one still run. */
  exec(b: Batch): NlError[] {
    const first = this.#seq,
      last = b.starts.length - 1,
      errs: NlError[] = [];
    b.starts.forEach((s, i) => {
      b.buf.writeUInt32LE(this.#seq++, s + 8);
      if (i === last) b.buf.writeUInt16LE(b.buf.readUInt16LE(s + 6) | F.ACK, s + 6);
    });
    sys.send(this.fd, b.buf, b.len, 0);
    for (;;)
      for (const m of this.#recv())
        if (m.type === 2 && m.seq >= first) {
          const e = -rb.readInt32LE(m.at + 16);
          if (e) errs.push(new NlError(e, extack(m.at, m.len, m.flags), m.seq - first));
          if (m.seq - first === last) return errs;
        }
  }
  run(b: Batch): void {
    const [e] = this.exec(b);
    if (e) throw e;
  }
  dump(type: number, hdr: Uint8Array, attrs: readonly Attr[] = []): Buffer[] {
    const b = new Batch().add(type, F.DUMP, hdr, attrs),
      seq = this.#seq++,
      out: Buffer[] = [];
    b.buf.writeUInt32LE(seq, 8);
    sys.send(this.fd, b.buf, b.len, 0);
    for (;;)
      for (const m of this.#recv())
        if (m.seq === seq) {
          if (m.type === 3) return out;
          if (m.type === 2) throw new NlError(-rb.readInt32LE(m.at + 16), extack(m.at, m.len, m.flags), 0);
          out.push(Buffer.from(rb.subarray(m.at + 16, m.at + m.len)));
        }
  }
  *#recv() {
    const n = sys.recv(this.fd, rb, rb.length, 0);
    for (let at = 0; at + 16 <= n; ) {
      const len = rb.readUInt32LE(at);
      yield { at, len, type: rb.readUInt16LE(at + 4), flags: rb.readUInt16LE(at + 6), seq: rb.readUInt32LE(at + 8) };
      at += (len + 3) & ~3;
    }
  }
}
function extack(at: number, len: number, flags: number): string {
  if (!(flags & 0x200)) return '';
  for (let p = at + 20 + (flags & 0x100 ? 16 : rb.readUInt32LE(at + 20)); p + 4 <= at + len; ) {
    const l = rb.readUInt16LE(p);
    if ((rb.readUInt16LE(p + 2) & 0x3fff) === 1) return rb.toString('utf8', p + 4, p + l - 1);
    p += (l + 3) & ~3 || 4;
  }
  return '';
}
export function attrsOf(b: Buffer, at: number): Map<number, Buffer> {
  const r = new Map<number, Buffer>();
  while (at + 4 <= b.length) {
    const l = b.readUInt16LE(at);
    if (l < 4) break;
    r.set(b.readUInt16LE(at + 2) & 0x3fff, b.subarray(at + 4, at + l));
    at += (l + 3) & ~3;
  }
  return r;
}
const h = (n: number, f: (b: Buffer) => void) => {
  const b = Buffer.alloc(n);
  f(b);
  return b;
};
export const ifinfo = (index = 0, up?: boolean) =>
  h(16, (b) => {
    b.writeInt32LE(index, 4);
    if (up !== undefined) {
      b.writeUInt32LE(up ? 1 : 0, 8);
      b.writeUInt32LE(1, 12);
    }
  });
export const ifaddr = (family: number, plen: number, index: number) =>
  h(8, (b) => {
    b[0] = family;
    b[1] = plen;
    b.writeInt32LE(index, 4);
  });
export const rtmsg = (family: number, plen: number, proto = 0, table = 254) =>
  h(12, (b) => {
    b[0] = family;
    b[1] = plen;
    b[4] = table > 255 ? 252 : table;
    b[5] = proto;
    b[7] = proto ? 1 : 0;
  });
export const tcmsg = (ifindex: number, handle: number, parent: number, info = 0) =>
  h(20, (b) => {
    b.writeInt32LE(ifindex, 4);
    b.writeUInt32LE(handle >>> 0, 8);
    b.writeUInt32LE(parent >>> 0, 12);
    b.writeUInt32LE(info >>> 0, 16);
  });
export const ip4 = (s: string) => Buffer.from(s.split('.').map(Number));
/** veth pair; the peer must be set up later from its own side (IFF_UP on it here gives ENOTCONN) */
export function addVeth(
  b: Batch,
  name: string,
  index: number,
  peer: { name: string; index: number; nsfd: number },
): void {
  const p = new Batch().attrs([
    [3, peer.name],
    [28, peer.nsfd],
  ]);
  b.add(RTM.NEWLINK, F.CREATE | F.EXCL, ifinfo(index, true), [
    [3, name],
    [
      18,
      [
        [1, 'veth'],
        [2, [[1, Buffer.concat([ifinfo(peer.index), p.buf.subarray(0, p.len)])]]],
      ],
    ],
  ]);
}
/** clsact + direct-action cls_bpf at prio 1 handle 1; sending it again swaps the program in place */
export function attachBpf(b: Batch, ifindex: number, progFd: number, dir: 'ingress' | 'egress', name: string): void {
  b.add(RTM.NEWQDISC, F.CREATE, tcmsg(ifindex, 0xffff0000, 0xfffffff1), [[1, 'clsact']]);
  b.add(
    RTM.NEWTFILTER,
    F.CREATE | F.REPLACE,
    tcmsg(ifindex, 1, dir === 'ingress' ? 0xfffffff2 : 0xfffffff3, (1 << 16) | 0x0300),
    [
      [1, 'bpf'],
      [
        2,
        [
          [6, progFd],
          [7, name],
          [8, 1],
        ],
      ],
    ],
  );
}
export { koffi };
