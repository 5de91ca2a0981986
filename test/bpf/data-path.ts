/** The loaded object with the maps of a policy; programs run one frame at a time by BPF_PROG_TEST_RUN (bpf(2)). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  type DroppedEvent,
  decodeDropKey,
  decodeEvent,
  ENTRY_MAPS,
  type LearnedEvent,
  PROGRAMS,
} from '../../encap/abi.ts';
import { type OverlayInput, overlayResources } from '../../encap/overlay.ts';
import { RingBuf } from '../../kernel/bpf/ringbuf.ts';
import { type BpfMap, BpfObject, testRun } from '../../kernel/bpf.ts';
import { inNetns } from '../../kernel/netns.ts';
import { reasonName } from '../../lib/reason.ts';
import { World } from '../netns/world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const SK_BUFF = 192; // struct __sk_buff
const AT = { mark: 8, ifindex: 40, gsoSize: 176 };
const BUCKETS = [1, 2, 3]; // HNV_BUCKET_ of ports
const BUCKET_HEAR = 4; // HNV_BUCKET_HEAR, of virtual subnets
/** Of every device: what is sent to another is not the machine's. */
export const DEVICE_MAC = '02:00:00:00:00:01';
export const ACTION = { pass: 0, drop: 2, copied: 4, redirect: 7 } as const;

export interface Run {
  readonly action: number;
  readonly frame: Buffer;
  /** Counted by this run. */
  readonly drop?: { readonly reason: string; readonly slot: number };
  readonly direction?: string;
}

export class DataPath {
  readonly #world = new World();
  readonly #object: BpfObject;
  readonly #netns: number;
  readonly #events: RingBuf;
  readonly #drops: BpfMap;
  readonly #buckets: BpfMap;
  readonly #vsids: readonly number[];

  /** Makes devices with the given indexes in a namespace of its own, because a frame must have come from somewhere. */
  constructor(input: OverlayInput, indexes: readonly number[]) {
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    const ns = this.#world.ns('bpf');
    this.#world.sh(
      ns,
      indexes
        .map((i) => `ip link add d${i} index ${i} address ${DEVICE_MAC} type veth peer name x${i} index ${1000 + i}`)
        .join('\n'),
    );
    this.#netns = fs.openSync(this.#world.nsPath(ns), 'r');
    this.#object = new BpfObject(path.join(root, 'dist/bpf/overlay.bpf.o'));
    this.#events = new RingBuf(this.#object.map('events'));
    this.#drops = this.#object.map('drops');
    this.#buckets = this.#object.map('buckets');
    this.#vsids = input.domains.flatMap((d) => (d.virtualSubnets ?? []).map((s) => s.vsid));
    const maps = new Map(ENTRY_MAPS.map((name) => [name as string, this.#object.map(name)]));
    for (const r of overlayResources(input))
      if (r.kind === 'entry')
        maps.get(r.spec.map)!.set(Buffer.from(r.spec.key, 'hex'), Buffer.from(r.spec.value, 'hex'));
  }

  run(
    program: keyof typeof PROGRAMS,
    ifindex: number,
    frame: Uint8Array,
    { gsoSize = 0, mark = 0, keepBuckets = false } = {},
  ): Run {
    const drops = this.#drops;
    if (!keepBuckets) this.#fillBuckets(ifindex);
    for (const batch of [...drops.batches()]) for (const [key] of batch) drops.delete(key);
    const ctx = Buffer.alloc(SK_BUFF);
    ctx.writeUInt32LE(ifindex, AT.ifindex);
    ctx.writeUInt32LE(gsoSize, AT.gsoSize);
    ctx.writeUInt32LE(mark, AT.mark);
    const fd = this.#object.progFd(PROGRAMS[program]);
    const { ret, data } = inNetns(this.#netns, () => testRun(fd, Buffer.from(frame), ctx));
    const counted = [...drops.batches()].flat().map(([key]) => decodeDropKey(key));
    if (counted.length > 1) throw new Error('one frame, two drops');
    const [drop] = counted;
    const counts = drop && {
      drop: { reason: reasonName(drop.reason), slot: drop.rdid },
      direction: drop.direction,
    };
    return { action: ret, frame: data, ...counts };
  }

  /** A frame must find no limit used up by those before it. */
  #fillBuckets(ifindex: number): void {
    const key = Buffer.alloc(8);
    key.writeUInt32LE(ifindex, 0);
    for (const kind of BUCKETS) {
      key.writeUInt32LE(kind, 4);
      this.#buckets.delete(key);
    }
    key.writeUInt32LE(BUCKET_HEAR, 4);
    for (const vsid of this.#vsids) {
      key.writeUInt32LE(vsid, 0);
      this.#buckets.delete(key);
    }
  }

  /** What the data plane has told since the last call. */
  events(): readonly (LearnedEvent | DroppedEvent)[] {
    const told: (LearnedEvent | DroppedEvent)[] = [];
    this.#events.drain((buf, offset, length) => {
      const event = decodeEvent(buf.subarray(offset, offset + length));
      assert.ok(event, 'an event that the decoder does not know');
      told.push(event);
    }, Number.POSITIVE_INFINITY);
    return told;
  }

  /** Runs `work` while one entry of a map is another. */
  withEntry(map: string, key: Uint8Array, value: Uint8Array, work: () => void): void {
    const entries = this.#object.map(map);
    const former = entries.get(key);
    entries.set(key, value);
    try {
      work();
    } finally {
      if (former) entries.set(key, former);
      else entries.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#object.close();
    fs.closeSync(this.#netns);
    await this.#world.close();
  }
}
