/**
 * Zero-copy reader of a BPF_MAP_TYPE_RINGBUF (Documentation/bpf/ringbuf.rst): consumer page, producer page, data mapped twice
 * so that records never wrap. Wake-ups come from an FdWatcher on the map's descriptor.
 */
import koffi from 'koffi';
import type { BpfMap } from './map.ts';

const PAGE = 4096;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const HEADER = 8;
const DISCARD_BIT = 0x40000000;
const LENGTH_MASK = 0x3fffffff;

const mmap = koffi
  .load('libc.so.6')
  .func('void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)');

export class RingBuf {
  readonly #consumer: BigInt64Array;
  readonly #producer: BigInt64Array;
  readonly #headers: Int32Array;
  readonly #mask: number;
  readonly buf: Buffer;

  constructor(map: BpfMap) {
    const size = map.maxEntries;
    this.#mask = size - 1;
    const readable = PROT_READ | PROT_WRITE;
    this.#consumer = new BigInt64Array(koffi.view(mmap(null, PAGE, readable, MAP_SHARED, map.fd, 0), PAGE));
    const length = PAGE + 2 * size;
    const pages = koffi.view(mmap(null, length, PROT_READ, MAP_SHARED, map.fd, PAGE), length);
    this.#producer = new BigInt64Array(pages, 0, 1);
    this.#headers = new Int32Array(pages, PAGE);
    this.buf = Buffer.from(pages, PAGE);
  }

  /** Hands over at most `budget` records; each is valid during the call only. Returns how many. */
  drain(handler: (buf: Buffer, offset: number, length: number) => void, budget = 2000): number {
    let at = Number(Atomics.load(this.#consumer, 0));
    let n = 0;
    while (n < budget && at < Number(Atomics.load(this.#producer, 0))) {
      const offset = at & this.#mask;
      const header = Atomics.load(this.#headers, offset >> 2);
      if (header < 0) break; // BPF_RINGBUF_BUSY_BIT is the sign bit
      const length = header & LENGTH_MASK;
      try {
        if (!(header & DISCARD_BIT)) handler(this.buf, offset + HEADER, length);
      } finally {
        at += (length + HEADER + 7) & ~7;
        n++;
        Atomics.store(this.#consumer, 0, BigInt(at));
      }
    }
    return n;
  }
}
