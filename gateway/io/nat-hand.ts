/**
 * The hand for entries, which ends in the NAT's state what entries that go or change leave behind. A pool is emptied before its
 * entry changes and after no policy names it any more: what is found through it would be another's afterwards.
 */
import type { Slot } from '../../compartments/numbers.ts';
import type { AnyResource, Executed, Hand, Kind, Op } from '../../compartments/resource.ts';
import type { EntryHand } from '../../kernel/entries.ts';
import { NAT, NAT_ENTRY_MAPS } from '../../nat/abi.ts';
import { endsOf, withoutPools } from '../nat-ends.ts';
import type { NatPlane } from './nat-plane.ts';

const NAT_MAPS: ReadonlySet<string> = new Set(NAT_ENTRY_MAPS);
const ofNat = ({ resource }: Op): boolean => resource.kind === 'entry' && NAT_MAPS.has(resource.spec.map);

export interface NatListener {
  /** Blocks were returned, and their numbers are about to mean others. */
  drain(): void;
  /** Tenants of the NAT may be gone. */
  changed(): void;
}

export class NatHand implements Hand {
  readonly kinds: readonly Kind[];
  readonly #entries: EntryHand;
  readonly #nat: NatPlane;
  readonly #listener: NatListener;

  constructor(entries: EntryHand, nat: NatPlane, listener: NatListener) {
    this.kinds = entries.kinds;
    this.#entries = entries;
    this.#nat = nat;
    this.#listener = listener;
  }

  observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    return this.#entries.observe(slot);
  }

  async execute(op: Op): Promise<void> {
    const { failures } = await this.executeAll([op]);
    if (failures[0]) throw failures[0].error;
  }

  async executeAll(ops: readonly Op[]): Promise<Executed> {
    if (!ops.some(ofNat)) return this.#entries.executeAll(ops);
    const { pools, hosts } = endsOf(ops.filter(ofNat), (service) => this.#dips(service));
    if (pools.length > 0) this.#empty(new Set(pools));
    const executed = await this.#entries.executeAll(ops);
    for (const host of hosts) this.#nat.purge(host);
    this.#listener.changed();
    return executed;
  }

  #dips(service: number) {
    return [...this.#nat.read('dips')]
      .filter(([key]) => NAT.dipKey.decode(key).service === service)
      .map(([, value]) => NAT.dip.decode(value).address);
  }

  /** Policies that named the pools are put right by the next look, where the ops do not. */
  #empty(pools: ReadonlySet<number>): void {
    const policies = this.#nat.map('policies');
    for (const [key, value] of [...this.#nat.read('policies')]) {
      const policy = withoutPools(NAT.policy.decode(value), pools);
      if (policy) policies.set(key, NAT.policy.encode(policy));
    }
    for (const pool of pools) this.#nat.purge({ pool });
    this.#listener.drain();
  }
}
