/**
 * Learning at work: what the data plane saw becomes records, and the policy store is told (R-ENC-8). Decisions are
 * `encap/learning.ts`'s; time comes with each call.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { Slot } from '../compartments/numbers.ts';
import { type LearnedEvent, NO_ADDRESS } from '../encap/abi.ts';
import {
  age,
  heardAt,
  type Learned,
  type LearningState,
  type Lesson,
  learn,
  resumed,
  type Sighting,
} from '../encap/learning.ts';
import { findRecord, type RecordStore } from '../encap/records.ts';
import { familyOf } from '../lib/address.ts';
import { ok } from '../lib/result.ts';
import { Turns } from '../lib/turns.ts';
import type { LearnNotice } from './hub.ts';
import type { RecordPlane } from './plane.ts';

export interface LearnerParts {
  readonly plane: RecordPlane;
  routingDomainId(slot: Slot): RoutingDomainId | undefined;
}

type Decide = (state: LearningState, store: RecordStore) => Learned;

export class Learner {
  readonly #parts: LearnerParts;
  readonly #turns = new Turns();
  #state: LearningState | undefined;

  constructor(parts: LearnerParts) {
    this.#parts = parts;
  }

  /** Resolves when what the frames told is in force or was refused. */
  take(events: readonly LearnedEvent[], now: number): Promise<void> {
    return this.#turns.take(() => this.#take(events, now));
  }

  age(now: number): Promise<void> {
    return this.#turns.take(async () => {
      await this.#change(now, (state, store) => age(state, store, now));
    });
  }

  /** When a learned record was heard of last, by the clock of the calls; undefined for one that is not learned here. */
  heardAt(id: RoutingDomainId, key: string): number | undefined {
    return this.#state && heardAt(this.#state, id, key);
  }

  async #take(events: readonly LearnedEvent[], now: number): Promise<void> {
    const store = this.#parts.plane.records();
    if (!store) return;
    const sightings = events.flatMap((e) => this.#sighting(store, e) ?? []);
    if (sightings.length === 0) return;
    const told = await this.#change(now, (state, s) => learn(state, s, sightings, now));
    if (told || sightings.length === 1) return;
    // One sighting that contradicts the policy must not cost the others.
    for (const one of sightings) await this.#change(now, (state, s) => learn(state, s, [one], now));
  }

  /** False when the policy refused. */
  async #change(now: number, decide: Decide): Promise<boolean> {
    const { plane } = this.#parts;
    const before = plane.records();
    if (!before) return true;
    this.#state ??= resumed(before, now);
    const first = decide(this.#state, before);
    let decided = first;
    if (first.changes.length > 0) {
      const result = await plane.changeRecords((store) => {
        decided = decide(this.#state ?? resumed(store, now), store);
        return ok(decided.changes);
      });
      if (!result.ok) return false;
    }
    this.#state = decided.state;
    for (const lesson of decided.lessons) this.#tell(lesson);
    return true;
  }

  #sighting(store: RecordStore, e: LearnedEvent): Sighting | undefined {
    const routingDomainId = this.#parts.routingDomainId(e.rdid);
    const own = store.providerAddresses.map((k) => k.record.providerAddress);
    const place = routingDomainId && findRecord(store, 'lookup-record', `${e.vsid} ${e.mac}`, routingDomainId);
    // The address under which the policy places the adapter here; others of this machine may be of the other family.
    const here = own.find((a) => a === place?.record.providerAddress) ?? own.find((a) => familyOf(a) === 4) ?? own[0];
    const providerAddress = e.provider === NO_ADDRESS ? here : e.provider;
    if (routingDomainId === undefined || providerAddress === undefined) return undefined;
    return { routingDomainId, vsid: e.vsid, address: e.address, mac: e.mac, providerAddress };
  }

  #tell({ change, routingDomainId, record, reason }: Lesson): void {
    const { plane } = this.#parts;
    const notice: LearnNotice = {
      type: 'learned',
      Change: change,
      RoutingDomain: plane.records()?.networks.get(routingDomainId)?.routingDomain ?? '',
      RoutingDomainID: routingDomainId,
      CustomerAddress: record.customerAddress,
      MACAddress: record.mac,
      VirtualSubnetID: record.vsid,
      ProviderAddress: record.providerAddress,
      ...(reason && { Reason: reason }),
    };
    plane.events.tell(notice);
  }
}
