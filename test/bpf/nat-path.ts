/** The loaded NAT object with the maps of a configuration; packets by BPF_PROG_TEST_RUN (bpf(2)), time by the `clock` map. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { decodeDropKey } from '../../encap/abi.ts';
import { type BpfMap, BpfObject, runSyscall, testRun } from '../../kernel/bpf.ts';
import { inNetns } from '../../kernel/netns.ts';
import { macBytes } from '../../lib/address.ts';
import { reasonName } from '../../lib/reason.ts';
import { CLOSING, NAT, NAT_ENTRY_MAPS, NAT_PROGRAMS, type NatBlock, natMac } from '../../nat/abi.ts';
import type { Pool } from '../../nat/blocks.ts';
import { type NatInput, natEntries } from '../../nat/entries.ts';
import { World } from '../netns/world.ts';
import { frameOf, type Ip } from './nat-packet.ts';
import { deviceOf, NIC, SLOTS } from './nat-world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const SK_BUFF = 192; // struct __sk_buff
const IFINDEX = 40;
export const ACTION = { pass: 0, drop: 2, redirect: 7 } as const;
const OUTER_MAC = Uint8Array.from([2, 0, 0, 0, 0, 1]);

export interface NatRun {
  readonly action: number;
  readonly frame: Buffer;
  readonly drop?: { readonly reason: string; readonly slot: number };
}

/** What the data plane keeps between packets. */
export interface Kept {
  /** `rdid protocol source:port destination:port` of every flow. */
  readonly flows: readonly string[];
  /** `slot host:port protocol external:port sessions` of every mapping. */
  readonly mappings: readonly string[];
  /** Owner and ports in use of each block that has one. */
  readonly blocks: readonly string[];
  /** `slot sessions ports blocks` of each tenant. */
  readonly usage: readonly string[];
  /** `slot host sessions ports` of each host that has some. */
  readonly hosts: readonly string[];
}

const STATE = ['flows', 'mappings', 'externals', 'contacts', 'hosts', 'fragments'];
/** Small maps are read in a moment; nothing that the steps do fills them. */
const SIZES = Object.fromEntries([...STATE, 'drops'].map((name) => [name, 4096]));
const key32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
};

export class NatPath {
  readonly #world = new World();
  readonly #object: BpfObject;
  readonly #netns: number;
  readonly #maps = new Map<string, BpfMap>();
  readonly #pools: readonly Pool[];

  /** Makes the devices in a namespace of its own, because a frame must have come from somewhere. */
  constructor(input: NatInput) {
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    const ns = this.#world.ns('nat');
    const devices = [NIC, ...SLOTS.map(deviceOf)];
    const links = devices.map((i) => `ip link add d${i} index ${i} type veth peer name x${i} index ${1000 + i}`);
    this.#world.sh(ns, links.join('\n'));
    this.#netns = fs.openSync(this.#world.nsPath(ns), 'r');
    this.#object = new BpfObject(path.join(root, 'dist/bpf/nat.bpf.o'), undefined, [], SIZES);
    const made = natEntries(input);
    if (!made.ok) throw new Error(made.error);
    this.#pools = made.value.pools;
    const entryMaps = new Map(NAT_ENTRY_MAPS.map((name) => [name as string, this.#map(name)]));
    for (const r of made.value.resources)
      entryMaps.get(r.spec.map)!.set(Buffer.from(r.spec.key, 'hex'), Buffer.from(r.spec.value, 'hex'));
  }

  #map(name: string): BpfMap {
    const map = this.#maps.get(name) ?? this.#object.map(name);
    this.#maps.set(name, map);
    return map;
  }

  #entries(name: string): readonly (readonly [Buffer, Buffer])[] {
    return [...this.#map(name).batches()].flat();
  }

  /** @param seconds where the clock stands. */
  time(seconds: number): void {
    const ns = Buffer.alloc(8);
    ns.writeBigUInt64LE(BigInt(seconds) * 1_000_000_000n);
    this.#map('clock').set(key32(0), ns);
  }

  /** A packet of a tenant, or from the external NIC. */
  run(slot: number | undefined, p: Ip): NatRun {
    const drops = this.#map('drops');
    for (const [key] of this.#entries('drops')) drops.delete(key);
    const mac = slot === undefined ? OUTER_MAC : macBytes(natMac(slot));
    const ctx = Buffer.alloc(SK_BUFF);
    ctx.writeUInt32LE(slot === undefined ? NIC : deviceOf(slot), IFINDEX);
    const fd = this.#object.progFd(slot === undefined ? NAT_PROGRAMS.in : NAT_PROGRAMS.out);
    const frame = Buffer.from(frameOf(p, OUTER_MAC, mac));
    const { ret, data } = inNetns(this.#netns, () => testRun(fd, frame, ctx));
    const counted = this.#entries('drops').map(([key]) => decodeDropKey(key));
    if (counted.length > 1) throw new Error(`one packet, two drops: ${JSON.stringify(counted)}`);
    const [drop] = counted;
    return { action: ret, frame: data, ...(drop && { drop: { reason: reasonName(drop.reason), slot: drop.rdid } }) };
  }

  sweep(): void {
    runSyscall(this.#object.progFd(NAT_PROGRAMS.sweep), Buffer.alloc(NAT.sweep.size));
  }

  #block(index: number): NatBlock {
    return NAT.block.decode(this.#map('blocks').get(key32(index))!);
  }

  /** 0 = nobody. */
  owner(block: number): number {
    const { owner } = this.#block(block);
    return owner === CLOSING ? 0 : owner;
  }

  kept(): Kept {
    const blocks = this.#pools.flatMap((p) => Array.from({ length: p.blocks }, (_, i) => p.firstBlock + i));
    return {
      flows: this.#entries('flows')
        .map(([k]) => NAT.flowKey.decode(k))
        .map((k) => `${k.rdid} ${k.protocol} ${k.source}:${k.source_port} ${k.destination}:${k.destination_port}`)
        .toSorted(),
      mappings: this.#entries('mappings')
        .map(([k, v]) => [NAT.mappingKey.decode(k), NAT.mapping.decode(v)] as const)
        .map(([k, m]) => `${k.rdid} ${k.address}:${k.port} ${k.protocol} ${m.address}:${m.port} ${m.sessions}`)
        .toSorted(),
      blocks: blocks
        .map((index) => [index, this.#block(index)] as const)
        .filter(([, b]) => b.owner)
        .map(([index, b]) => `${index} ${b.owner} ${b.used.reduce((x, y) => x + y)}`),
      usage: SLOTS.map((slot) => {
        const u = NAT.usage.decode(this.#map('usage').get(key32(slot))!);
        return `${slot} ${u.sessions} ${u.ports} ${u.blocks}`;
      }),
      hosts: this.#entries('hosts')
        .map(([k, v]) => [NAT.hostKey.decode(k), NAT.host.decode(v)] as const)
        .filter(([, h]) => h.sessions || h.ports)
        .map(([k, h]) => `${k.rdid} ${k.address} ${h.sessions} ${h.ports}`)
        .toSorted(),
    };
  }

  /** As after loading: nothing is kept. */
  forget(): void {
    for (const name of STATE) for (const [key] of this.#entries(name)) this.#map(name).delete(key);
    const blocks = this.#map('blocks');
    for (const p of this.#pools)
      for (let i = 0; i < p.blocks; i++) blocks.set(key32(p.firstBlock + i), Buffer.alloc(blocks.valueSize));
    const usage = this.#map('usage');
    for (const slot of SLOTS) usage.set(key32(slot), Buffer.alloc(usage.valueSize));
  }

  async close(): Promise<void> {
    this.#object.close();
    fs.closeSync(this.#netns);
    await this.#world.close();
  }
}
