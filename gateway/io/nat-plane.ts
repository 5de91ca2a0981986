/** The NAT's eBPF object on this gateway: programs and pinned maps, its resources, and the runs that end what is over. */
import type { NetNat } from '../../compartments/nat.ts';
import { natPortOf, type Slot, WAIT_DEVICE } from '../../compartments/numbers.ts';
import type { Scope } from '../../compartments/reconcile.ts';
import type { AnyResource } from '../../compartments/resource.ts';
import { slotOf } from '../../compartments/slots.ts';
import { type BpfMap, RingBuf, runSyscall } from '../../kernel/bpf.ts';
import { FdWatcher } from '../../kernel/fdwatch.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { openPinned, type Pinned } from '../../kernel/pinned.ts';
import type { Address } from '../../lib/address.ts';
import { ANY_POOL, NAT, NAT_ENTRY_MAPS, NAT_PINNED_MAPS, NAT_PROGRAMS, type NatBlock } from '../../nat/abi.ts';
import { type Pool, rangesOf } from '../../nat/blocks.ts';
import { type NatEntries, natEntries } from '../../nat/entries.ts';
import { formerOf } from '../../nat/former.ts';
import type { Entries } from '../../nat/show.ts';
import { natSizes, sessionsOf } from '../../nat/sizes.ts';
import { hasNat, natEdgeResources, natMtuOf, natTenantResources, netNatsOf } from '../nat.ts';
import type { Running } from '../running.ts';

const ANY_ADDRESS = '0.0.0.0' as Address;
const word = (bytes: Uint8Array, at = 0): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);

export type NatMap = (typeof NAT_PINNED_MAPS)[number];
export type Healthy = (rule: string, dip: Address) => boolean;

/** What a purge ends. */
export interface Purge {
  /** Absent = of any tenant; then a pool must be named. */
  readonly slot?: Slot;
  readonly address?: Address;
  readonly pool?: number;
}

export class NatPlane {
  readonly #pinned: Pinned;
  readonly #namespaces = new Namespaces();
  readonly #seed: number;
  readonly #ring: RingBuf;
  #healthy: Healthy = () => true;

  /**
   * Throws as DataPlane does.
   * @param seed of the choice of ports; the same as long as the maps live.
   * @param memory of the machine, bytes: decides how many sessions there can be, until the maps are made anew.
   */
  constructor(objectFile: string, pinDirectory: string, seed: number, memory: number) {
    this.#pinned = openPinned(objectFile, pinDirectory, NAT_PINNED_MAPS, natSizes(memory));
    this.#seed = seed;
    this.#ring = new RingBuf(this.map('nat_events'));
  }

  get programs(): Pinned['programs'] {
    return this.#pinned.programs;
  }

  /** That there is room for. */
  get sessions(): number {
    return sessionsOf(this.map('flows').maxEntries);
  }

  /** Those whose entries are resources. */
  get entryMaps(): ReadonlyMap<string, BpfMap> {
    return new Map(NAT_ENTRY_MAPS.map((name) => [name, this.map(name)]));
  }

  map(name: NatMap): BpfMap {
    return this.#pinned.maps.get(name)!;
  }

  /** What the probes say of a DIP; all are healthy until this is told. */
  set healthy(healthy: Healthy) {
    this.#healthy = healthy;
  }

  /** The NAT's resources of one slot or of all. */
  resources(running: Running, scope: Scope): readonly AnyResource[] {
    const { config, table } = running;
    if (netNatsOf(config).length === 0) return [];
    const tags = Object.fromEntries(Object.entries(this.programs).map(([name, p]) => [name, p.tag]));
    const index = (device: string) => this.#namespaces.link('', device)?.index;
    const mtu = natMtuOf(config, (device) => this.#namespaces.link('', device)?.mtu);
    const all = [
      ...natEdgeResources(config, (device) => index(device) !== undefined, tags),
      ...config.compartments
        .filter((c) => hasNat(config, c))
        .flatMap((c) => natTenantResources(c, slotOf(table, c.routingDomainId), mtu, tags)),
      ...this.entries(running).resources,
    ];
    return scope === 'all' ? all : all.filter((r) => r.slot === scope);
  }

  /** The decisions for a configuration, with the numbers of what the maps hold already. Throws when it does not fit into the maps. */
  entries({ config, table }: Running): NatEntries {
    const index = (device: string) => this.#namespaces.link('', device)?.index;
    const decided = natEntries({
      netNats: netNatsOf(config),
      netAdapters: config.netAdapters,
      tenants: config.compartments
        .filter((c) => hasNat(config, c))
        .map(({ routingDomainId }) => {
          const slot = slotOf(table, routingDomainId);
          const device = index(natPortOf(slot));
          return { routingDomainId, slot, ...(device !== undefined && { device }) };
        }),
      seed: this.#seed,
      waiting: index(WAIT_DEVICE) ?? 0,
      sessions: this.sessions,
      former: formerOf(this.#former()),
      index,
      healthy: (rule, dip) => this.#healthy(rule.name, dip),
    });
    if (!decided.ok) throw new Error(`NAT: ${decided.error}`);
    return decided.value;
  }

  *#former(): Generator<readonly [map: string, key: Uint8Array, value: Uint8Array]> {
    for (const name of ['pools', 'statics', 'dips'] as const)
      for (const [key, value] of this.read(name)) yield [name, key, value];
  }

  *read(name: NatMap): Entries {
    for (const batch of this.map(name).batches()) yield* batch;
  }

  *blocks(): Generator<readonly [index: number, block: NatBlock]> {
    for (const [key, value] of this.read('blocks')) {
      const { owner, former } = NAT.block.offset;
      if (word(value, owner) || word(value, former)) yield [word(key), NAT.block.decode(value)];
    }
  }

  /** Ends what is idle, gives back what is empty. */
  sweep() {
    const told = Buffer.alloc(NAT.sweep.size);
    runSyscall(this.programs[NAT_PROGRAMS.sweep]!.fd, told);
    return NAT.sweep.decode(told);
  }

  /** How many sessions it ended. */
  purge({ slot, address, pool }: Purge): number {
    const asked = Buffer.from(
      NAT.purge.encode({
        rdid: slot ?? 0,
        address: address ?? ANY_ADDRESS,
        pool: pool ?? ANY_POOL,
        ended: 0,
      }),
    );
    if (runSyscall(this.programs[NAT_PROGRAMS.purge]!.fd, asked) !== 0) throw new Error('the NAT refuses to purge');
    return NAT.purge.decode(asked).ended;
  }

  /** Slots that have something in the state maps. */
  slotsInUse(): readonly Slot[] {
    const { sessions, ports, blocks } = NAT.usage.offset;
    return [...this.read('usage')]
      .filter(([, value]) => [sessions, ports, blocks].some((at) => word(value, at)))
      .map(([key]) => word(key));
  }

  /** Pools as the data plane has them; the end of the ports as the configuration says. */
  pools(netNats: readonly NetNat[]): readonly Pool[] {
    const ranges = rangesOf(netNats);
    return formerOf([...this.read('pools')].map(([k, v]) => ['pools', k, v] as const)).pools.map((p) => ({
      ...p,
      portEnd:
        ranges.find((r) => r.address === p.address && r.portStart === p.portStart)?.portEnd ??
        Math.min(p.portStart + p.blocks * p.blockPorts - 1, 65535),
    }));
  }

  /** Wakes the handler when there are events of blocks; one listener in one process. */
  watchBlocks(handler: () => void): { close(): void } {
    return new FdWatcher(this.map('nat_events').fd, handler, false).unref();
  }

  /** Events of blocks that nobody has read. */
  drainBlocks(handler: (event: Uint8Array) => void): void {
    const read = (buffer: Buffer, offset: number, length: number) =>
      handler(Buffer.from(buffer.subarray(offset, offset + length)));
    while (this.#ring.drain(read) > 0);
  }
}
