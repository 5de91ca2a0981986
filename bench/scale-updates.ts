/**
 * Records of a large policy that change: through the entry hand alone, and through the library as an operator's call goes, with
 * the rules, the store, the entries that differ and the kernel (`changeRecords`, `recordOps`, `carryOut`).
 */
import { performance } from 'node:perf_hooks';
import type { RoutingDomainId } from '../compartments/compartment.ts';
import { FIRST_SLOT } from '../compartments/numbers.ts';
import { carryOut } from '../compartments/reconcile.ts';
import { decodeLocation, encodeRecordKey, type Location } from '../encap/abi.ts';
import { PackedLocations } from '../encap/location-entries.ts';
import { type IndexedDomain, recordOps } from '../encap/record-ops.ts';
import { changeRecords, type RecordChange, type RecordStore, recordStore, withRecordsOf } from '../encap/records.ts';
import { derive } from '../lib/derive.ts';
import type { ScaleHost } from './scale-host.ts';
import { addressAt, HOSTS, macAt, providerOf } from './scale-policy.ts';

const seconds = (from: number) => (performance.now() - from) / 1000;

/** VMs that move; never the one that sends, nor the one its flow goes to. */
const mover = (host: ScaleHost, n: number): number => 2 + (n % (host.destinations - 1));
const hostOf = (i: number, round: number) => providerOf((i + round) % HOSTS);

/** Moves `count` VMs by the hand, each one entry. Returns the seconds for encoding them and for the hand, and microseconds of CPU for both. */
export async function move(host: ScaleHost, from: number, count: number, round: number) {
  // Where each is by now: an operator's texts are there before the call, so making them is not part of it.
  const template = templateOf(host);
  const places = Array.from({ length: count }, (_, n) => {
    const i = mover(host, from + n);
    const at = hostOf(i, round);
    return { address: addressAt(i), location: { ...template, mac: macAt(i), destination: at, nextHop: at } };
  });
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const moved = new PackedLocations(count);
  for (const { address, location } of places) moved.record('', FIRST_SLOT, address, location);
  const encoding = seconds(begin);
  const begun = performance.now();
  const [records] = moved.resources();
  const { failures } = await host.entries.executeAll([{ verb: 'update', impact: 'flow', resource: records! }]);
  if (failures[0]) throw failures[0].error;
  const hand = seconds(begun);
  const { user, system } = process.cpuUsage(cpu);
  return { encoding, hand, cpu: user + system };
}

/** The value that the data plane has for the record of the one flow. */
function templateOf(host: ScaleHost): Location {
  const value = host.maps.get('records')!.get(encodeRecordKey(FIRST_SLOT, addressAt(1)));
  if (!value) throw new Error('the record of the flow is not there');
  return decodeLocation(value);
}

/** A host's records as the agent keeps them, those of the first VM network made at run time. */
export class Library {
  readonly #host: ScaleHost;
  #store: RecordStore;
  readonly #id = '{network-0}' as RoutingDomainId;

  constructor(host: ScaleHost) {
    this.#host = host;
    const networks = host.domains.map(({ name, lookupRecords, customerRoutes, ports }, n) => ({
      routingDomain: name,
      routingDomainId: `{network-${n}}` as RoutingDomainId,
      customerRoutes,
      ports,
      lookupRecords: n === 0 ? [] : lookupRecords,
    }));
    this.#store = recordStore({ ...host.machine, networks });
    const add = host.domains[0]!.lookupRecords.map(
      (record): RecordChange => ({ verb: 'new', kind: 'lookup-record', origin: 'Runtime', record }),
    );
    this.#change(add);
  }

  /** `groups` calls of `size` changes each. Returns seconds. */
  async update(from: number, groups: number, size: number, round: number): Promise<number> {
    const begin = performance.now();
    for (let g = 0; g < groups; g++) {
      const before = this.#domain();
      const changed = this.#change(
        Array.from({ length: size }, (_, n): RecordChange => {
          const i = mover(this.#host, from + g * size + n);
          const key = `${this.#vsid} ${addressAt(i)}`;
          const patch = { providerAddress: hostOf(i, round) };
          return { verb: 'set', kind: 'lookup-record', origin: 'Runtime', key, patch };
        }),
      );
      const change = { before, after: this.#domain(), touched: changed.networks.get(this.#id)! };
      const ops = recordOps(this.#host.machine, [change], this.#store);
      const { failures } = await carryOut([this.#host.entries], ops);
      if (failures[0]) throw failures[0].error;
    }
    return seconds(begin);
  }

  get #vsid(): number {
    return this.#host.domains[0]!.ports[0]!.vsid;
  }

  #change(changes: readonly RecordChange[]) {
    const changed = changeRecords(this.#store, changes);
    if (!changed.ok) throw new Error(changed.error[0]?.problem);
    this.#store = changed.value.store;
    return changed.value;
  }

  #domain(): IndexedDomain {
    const network = this.#store.networks.get(this.#id)!;
    return derive(withRecordsOf(this.#host.domains[0]!, network), { records: network.kept['lookup-record'] });
  }
}
