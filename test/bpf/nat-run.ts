/** The NAT object with a configuration, one frame at a time by BPF_PROG_TEST_RUN (bpf(2)), at a time that stands still. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { decodeDropKey } from '../../encap/abi.ts';
import { type BpfMap, BpfObject, RingBuf, runSyscall, testRun } from '../../kernel/bpf.ts';
import { inNetns } from '../../kernel/netns.ts';
import { reasonName } from '../../lib/reason.ts';
import { ANY_POOL, NAT, NAT_PROGRAMS, type NatMapping, type NatMappingKey } from '../../nat/abi.ts';
import { type NatInput, natEntries } from '../../nat/entries.ts';
import { World } from '../netns/world.ts';
import { deviceOf, NIC, SLOTS } from './nat-world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const SK_BUFF = 192; // struct __sk_buff
const IFINDEX = 40;
const NATW0 = 900;
/** Millions would take longer to make and to read than all tests. */
const SIZES = { flows: 4096, mappings: 4096, externals: 4096, contacts: 4096, hosts: 1024, blocks: 64, reserved: 64 };

/** Answered = dropped, and the sender is told. */
export type Outcome = 'pass' | 'drop' | 'answered' | 'forwarded';
export interface Ran {
  readonly outcome: Outcome;
  readonly frame: Buffer;
  readonly drop?: { readonly reason: string; readonly slot: number; readonly direction: string };
}

export interface Event {
  readonly type: number;
  readonly rdid: number;
  readonly block: number;
  readonly taken: number;
  readonly released: number;
}

export class NatRun {
  readonly #world = new World();
  readonly #object: BpfObject;
  readonly #netns: number;
  readonly #events: RingBuf;

  constructor(input: NatInput) {
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    const ns = this.#world.ns('run');
    const devices = [NIC, NATW0, ...SLOTS.map(deviceOf)];
    this.#world.sh(
      ns,
      devices.map((i) => `ip link add d${i} index ${i} type veth peer name x${i} index ${1000 + i}`).join('\n'),
    );
    this.#netns = fs.openSync(this.#world.nsPath(ns), 'r');
    this.#object = new BpfObject(path.join(root, 'dist/bpf/nat.bpf.o'), undefined, [], SIZES);
    this.#events = new RingBuf(this.#object.map('nat_events'));
    const made = natEntries(input);
    if (!made.ok) throw new Error(made.error);
    for (const { spec } of made.value.resources)
      this.map(spec.map).set(Buffer.from(spec.key, 'hex'), Buffer.from(spec.value, 'hex'));
  }

  map(name: string): BpfMap {
    return this.#object.map(name);
  }

  entries(name: string): readonly (readonly [Buffer, Buffer])[] {
    return [...this.map(name).batches()].flat();
  }

  time(seconds: number): void {
    const ns = Buffer.alloc(8);
    ns.writeBigUInt64LE(BigInt(Math.round(seconds * 1e9)));
    this.map('clock').set(Buffer.alloc(4), ns);
  }

  frame(program: 'out' | 'in', ifindex: number, frame: Uint8Array): Ran {
    for (const [key] of this.entries('drops')) this.map('drops').delete(key);
    const ctx = Buffer.alloc(SK_BUFF);
    ctx.writeUInt32LE(ifindex, IFINDEX);
    const fd = this.#object.progFd(NAT_PROGRAMS[program]);
    const { ret, data } = inNetns(this.#netns, () => testRun(fd, Buffer.from(frame), ctx));
    const counted = this.entries('drops').map(([key]) => decodeDropKey(key));
    if (counted.length > 1) throw new Error(`one packet, two drops: ${JSON.stringify(counted)}`);
    const [drop] = counted;
    const outcome = ret === 0 ? 'pass' : ret === 2 ? 'drop' : drop ? 'answered' : 'forwarded';
    if (!drop) return { outcome, frame: data };
    return {
      outcome,
      frame: data,
      drop: { reason: reasonName(drop.reason), slot: drop.rdid, direction: drop.direction },
    };
  }

  sweep(): ReturnType<typeof NAT.sweep.decode> {
    const told = Buffer.alloc(NAT.sweep.size);
    runSyscall(this.#object.progFd(NAT_PROGRAMS.sweep), told);
    return NAT.sweep.decode(told);
  }

  /** @returns sessions ended. */
  purge(asked: { rdid?: number; address?: string; pool?: number }): number {
    const { rdid = 0, address = '0.0.0.0', pool = ANY_POOL } = asked;
    const ctx = NAT.purge.encode({ rdid, address, pool, ended: 0 } as Parameters<typeof NAT.purge.encode>[0]);
    runSyscall(this.#object.progFd(NAT_PROGRAMS.purge), ctx);
    return NAT.purge.decode(ctx).ended;
  }

  mappings(): readonly (NatMappingKey & { readonly to: NatMapping })[] {
    return this.entries('mappings').map(([k, v]) => ({ ...NAT.mappingKey.decode(k), to: NAT.mapping.decode(v) }));
  }

  /** What the block log was told since the last call. */
  events(): readonly Event[] {
    const told: Event[] = [];
    this.#events.drain((buf, offset, length) => {
      told.push(NAT.event.decode(buf.subarray(offset, offset + length)));
    }, Number.POSITIVE_INFINITY);
    return told;
  }

  async close(): Promise<void> {
    this.#object.close();
    fs.closeSync(this.#netns);
    await this.#world.close();
  }
}
