/**
 * The gateway: the configuration in force, the loop that keeps reality the same, and the operator's plan and apply (R-OPS-1,
 * R-OPS-2). Everything that touches the system is given to it.
 *
 * One thing happens at a time: an apply, a plan or a reconcile never sees another's half-way state.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { GatewayConfig } from '../compartments/compartment.ts';
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import { describeOp, describeOps, FEW, plan } from '../compartments/plan.ts';
import {
  carryOut,
  type Failure,
  type Outcome,
  observe,
  reconcile,
  type Scope,
  withdraw,
} from '../compartments/reconcile.ts';
import { formatRecordError } from '../compartments/record-reasons.ts';
import type { AnyResource, Hand, Op } from '../compartments/resource.ts';
import { assignSlots, EMPTY_SLOTS, type SlotTable, slotOf } from '../compartments/slots.ts';
import type { ConfigError } from '../config/error.ts';
import { changeInForce } from '../control/change.ts';
import { mergeRecords, ownRecords } from '../control/merge.ts';
import type { AskForChanges, RecordRefusal } from '../control/plane.ts';
import type { Changed, RecordChange, RecordStore } from '../encap/records.ts';
import type { Address } from '../lib/address.ts';
import type { Result } from '../lib/result.ts';
import { err, ok } from '../lib/result.ts';
import { Turns } from '../lib/turns.ts';
import type { Event } from './event.ts';
import { changedSlots, fileRecords, namesOf, type Running, runningOf, type Source, withRecords } from './running.ts';
import { type FailedOp, type Status, Unsettled, unreadable } from './settled.ts';

/** What the gateway keeps on disk. */
export interface Store {
  readonly slots: SlotTable;
  saveSlots(table: SlotTable): void;
  saveRunning(source: Source): void;
  /** Records that are not the file's. */
  readonly records: {
    read(): readonly RecordChange[];
    save(changed: Changed): void;
    saveAll(store: RecordStore): void;
  };
}

/** The tunnels: told which interfaces are loaded into charon, asked which are up. */
export interface Tunnels {
  /** Connections of these interfaces are about to be loaded: a peer that dials in meanwhile is expected. */
  expect(running: Running): void;
  /** From here on the named interfaces are watched, adopted when they are up, and dialled when they are to be. */
  loaded(running: Running): void;
  /** The addresses that can be dialled from: told after every look at the gateway's own NICs. */
  dialFrom(addresses: ReadonlySet<Address>): void;
  /** undefined while it is not known: charon has not answered since this process started. */
  up(): ReadonlySet<string> | undefined;
}

export interface Parts {
  /** The hands that can work now. While charon is away its hand is not among them, and everything else goes on. */
  hands(): readonly Hand[];
  readonly tunnels: Tunnels;
  readonly store: Store;
  readonly log: Logger;
  /** Addresses of the default compartment on NICs that are up and have a carrier. */
  usableAddresses(): ReadonlySet<Address>;
  /** Reads and checks a configuration file. */
  load(source: Source): Result<GatewayConfig, readonly ConfigError[]>;
  /** Every resource of a slot, or of all, as they must be now. */
  desired(running: Running, up: ReadonlySet<string>, scope: Scope): readonly AnyResource[];
  /** What must be done when only records of some VM networks changed. */
  recordOps(before: Running, after: Running, networks: Changed['networks']): readonly Op[];
  /** `status` may have changed. */
  statusChanged(): void;
  /** Calls back later with an event. */
  later(event: Event, milliseconds: number): void;
}

export type Refusal =
  | { readonly code: 'CONFIG'; readonly errors: readonly ConfigError[] }
  /** The system refused some ops, or could not be read. `restored`: the former configuration is in force, and seen to be. */
  | { readonly code: 'FAILED'; readonly failures: readonly FailedOp[]; readonly restored: boolean };

export interface Change {
  readonly ops: readonly Op[];
  /** What the operator must know to read the ops rightly. */
  readonly notes: readonly string[];
}

const RETRY_MS = 5000;

const NOTHING_DIRTY = () => ({ adopt: false, scopes: new Set<Scope>() });

export class Gateway {
  readonly #parts: Parts;
  #running: Running | undefined;
  #table: SlotTable;
  readonly #turns = new Turns();
  #dirty = NOTHING_DIRTY();
  /** Names of routing domains, of removed ones as well: what is left of them is still logged under their name. */
  readonly #names = new Map<Slot, string>([[DEFAULT_SLOT, '']]);
  #woken = false;
  readonly #unsettled = new Unsettled((slot) => this.routingDomain(slot), describeOp);

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#table = parts.store.slots ?? EMPTY_SLOTS;
  }

  get running(): Running | undefined {
    return this.#running;
  }

  get status(): Status {
    const unsettled = this.#unsettled.rows();
    const file = this.#running?.source.file ?? '';
    return { file, settled: file !== '' && unsettled.length === 0, unsettled, notes: this.#notes() };
  }

  get records(): RecordStore | undefined {
    return this.#running?.records;
  }

  /** Name of the routing domain of a slot, for people; the default compartment's is ''. */
  routingDomain(slot: Slot): string {
    return this.#names.get(slot) ?? `compartment ${slot}`;
  }

  /**
   * Start-up: takes the configuration, adopts what runs, changes only what differs. When the system refuses part of it, or
   * cannot be read, the configuration is in force all the same and the loop goes on trying.
   */
  start(source: Source): Promise<Result<Change, Refusal>> {
    return this.#turns.take(async () => {
      const candidate = this.#candidate(source, true);
      if (!candidate.ok) return candidate;
      this.#running = candidate.value;
      this.#parts.store.saveRunning(source);
      try {
        const outcome = await this.#adopt();
        return outcome.settled ? ok(this.#changed(outcome.done)) : err(this.#failed(outcome.failures, false));
      } catch (error) {
        this.#blind(error);
        this.#parts.later({ type: 'charon-back' }, RETRY_MS);
        return err(this.#failed([], false, error));
      }
    });
  }

  /** The ops that `apply` would carry out, without carrying them out. */
  plan(source: Source): Promise<Result<Change, Refusal>> {
    return this.#turns.take(async () => {
      const candidate = this.#candidate(source, false);
      if (!candidate.ok) return candidate;
      const hands = this.#parts.hands();
      const actual = await observe(hands, 'all');
      return ok(this.#changed(plan(this.#desired(hands, candidate.value, 'all', actual), actual)));
    });
  }

  /** All or nothing: when the system refuses an op, the configuration that was in force is put back (R-OPS-1). */
  apply(source: Source): Promise<Result<Change, Refusal>> {
    return this.#turns.take(async () => {
      const candidate = this.#candidate(source, true);
      if (!candidate.ok) return candidate;
      const before = this.#running;
      const scopes = this.#scopes(before?.config, candidate.value);
      try {
        const outcome = await this.#carryOut(candidate.value, scopes);
        if (!outcome.settled) return err(await this.#putBack(before, scopes, outcome.failures));
        this.#parts.store.saveRunning(source);
        this.#parts.store.records.saveAll(candidate.value.records);
        this.#parts.tunnels.loaded(candidate.value);
        this.#parts.log.info({ ops: outcome.done.length, file: source.file }, 'configuration applied');
        return ok(this.#changed(outcome.done));
      } catch (error) {
        return err(await this.#putBack(before, scopes, [], error));
      }
    });
  }

  /**
   * Changes policy records, all of them or none. Records of VM networks become the entries that differ, whatever else the
   * gateway has; provider addresses and routes lie under everything, so they are compared with everything.
   */
  changeRecords(ask: AskForChanges): Promise<Result<readonly Op[], RecordRefusal>> {
    return this.#turns.take(() =>
      changeInForce(this.records, ask, {
        put: async (_from, to, { networks, machine }) => {
          const before = this.#running!;
          this.#running = withRecords(before, to, [...networks.keys()]);
          if (machine) return this.#reconcile('all');
          return this.#entries(this.#parts.recordOps(before, this.#running, networks));
        },
        failures: (outcome) => {
          const { failures } = this.#failed(outcome.failures, true);
          this.#parts.log.error({ failures }, 'records refused, putting the former ones back');
          return failures;
        },
        save: (changed) => this.#parts.store.records.save(changed),
      }),
    );
  }

  /** Wakes the loop; events that arrive while it runs are gathered. */
  notice(event: Event): void {
    if (event.type === 'charon-lost') this.#parts.statusChanged();
    if (event.type === 'charon-back') this.#dirty.adopt = true;
    for (const scope of this.#scopesOf(event)) this.#dirty.scopes.add(scope);
    if (this.#woken || this.#dirty.scopes.size === 0) return;
    this.#woken = true;
    let adopt = false;
    void this.#turns
      .take(async () => {
        this.#woken = false;
        const { scopes } = this.#dirty;
        adopt = this.#dirty.adopt;
        this.#dirty = NOTHING_DIRTY();
        if (adopt) await this.#adopt();
        else await this.#reconcileEach(scopes.has('all') ? ['all'] : [...scopes]);
      })
      .catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'reality could not be read, nothing was changed');
        this.#blind(error);
        this.#parts.later({ type: adopt ? 'charon-back' : 'resync' }, RETRY_MS);
      });
  }

  #scopesOf(event: Event): readonly Scope[] {
    const running = this.#running;
    if (!running) return [];
    switch (event.type) {
      case 'resync':
      case 'charon-back':
        return ['all'];
      case 'retry':
        return [event.slot];
      case 'charon-lost':
        return [];
      case 'network-changed':
        return event.slot === DEFAULT_SLOT || running.domains.has(event.slot) ? [event.slot] : [];
      case 'tunnels-changed':
        return running.config.compartments
          .filter((c) => c.s2sInterfaces.some((i) => event.interfaces.includes(i.name)))
          .map((c) => slotOf(running.table, c.routingDomainId));
    }
  }

  /** `keep`: the numbers are about to be used. Saved before use: one that the kernel may have seen is never forgotten. */
  #candidate(source: Source, keep: boolean): Result<Running, Refusal> {
    const config = this.#parts.load(source);
    if (!config.ok) return err({ code: 'CONFIG', errors: config.error });
    const table = assignSlots(this.#table, config.value.compartments);
    if (keep && !isDeepStrictEqual(table, this.#table)) {
      this.#parts.store.saveSlots(table);
      this.#table = table;
    }
    const own = this.#running ? ownRecords(this.#running.records) : this.#parts.store.records.read();
    const { store, dropped } = mergeRecords(fileRecords(config.value), own);
    for (const e of dropped) this.#parts.log.warn({ code: e.code }, `not in force: ${formatRecordError(e)}`);
    const running = runningOf(config.value, table, source, store);
    for (const [slot, name] of namesOf(running)) this.#names.set(slot, name);
    return ok(running);
  }

  /** Connections that go or change are gone from charon, over all compartments, before the first new one is loaded. */
  async #carryOut(running: Running, scopes: readonly Scope[]): Promise<Outcome> {
    this.#running = running;
    this.#parts.tunnels.expect(running);
    const charon = this.#charon();
    const gone = await withdraw(charon, 'all', (actual) => this.#desired(charon, running, 'all', actual));
    this.#tell(gone);
    if (!gone.settled) return gone;
    const outcome = await this.#reconcileEach(scopes);
    return { ...outcome, done: [...gone.done, ...outcome.done] };
  }

  async #putBack(
    before: Running | undefined,
    scopes: readonly Scope[],
    failures: readonly Failure[],
    error?: unknown,
  ): Promise<Refusal> {
    const { log, later, tunnels } = this.#parts;
    const refusal = (restored: boolean) => this.#failed(failures, restored, error);
    this.#running = before;
    if (!before) return refusal(false);
    log.error({ failures: refusal(false).failures }, 'apply failed, putting the former configuration back');
    try {
      const { settled } = await this.#carryOut(before, scopes);
      tunnels.loaded(before);
      return refusal(settled);
    } catch (cause) {
      log.error({ err: cause }, 'the former configuration is not back yet');
      this.#blind(cause);
      later({ type: 'charon-back' }, RETRY_MS);
      return refusal(false);
    }
  }

  #charon(): readonly Hand[] {
    return this.#parts.hands().filter((h) => h.kinds.includes('connection'));
  }

  #scopes(before: GatewayConfig | undefined, after: Running): readonly Scope[] {
    const slots = changedSlots(before, after.config, after.table);
    return slots === 'all' ? ['all'] : slots;
  }

  /**
   * Connections first: only then may the tunnels be watched and dialled, and only a watched tunnel that is up keeps its routes
   * when the rest is compared. What is dialled waits for the rest: without its address on the NIC a dial would only fail.
   */
  async #adopt(): Promise<Outcome> {
    const running = this.#running;
    if (running) this.#parts.tunnels.expect(running);
    const first = await this.#reconcile('all', this.#charon());
    if (running) this.#parts.tunnels.loaded(running);
    const rest = await this.#reconcile('all');
    this.#parts.tunnels.dialFrom(this.#parts.usableAddresses());
    return { ...rest, done: [...first.done, ...rest.done] };
  }

  async #reconcileEach(scopes: readonly Scope[]): Promise<Outcome> {
    const outcomes: Outcome[] = [];
    for (const scope of scopes) outcomes.push(await this.#reconcile(scope));
    this.#parts.tunnels.dialFrom(this.#parts.usableAddresses());
    return {
      done: outcomes.flatMap((o) => o.done),
      failures: outcomes.flatMap((o) => o.failures),
      settled: outcomes.every((o) => o.settled),
    };
  }

  async #entries(ops: readonly Op[]): Promise<Outcome> {
    const { done, failures } = await carryOut(this.#parts.hands(), ops);
    const outcome = { done, failures, settled: failures.length === 0 };
    this.#tell(outcome);
    return outcome;
  }

  #blind(error: unknown): void {
    this.#unsettled.blind(error);
    this.#parts.statusChanged();
  }

  /** `some`: the hands that work, if not all: then what is not there is only told. */
  async #reconcile(scope: Scope, some?: readonly Hand[]): Promise<Outcome> {
    const hands = some ?? this.#parts.hands();
    const running = this.#running;
    if (!running) return { done: [], failures: [], settled: true };
    const outcome = await reconcile(hands, scope, (actual) => this.#desired(hands, running, scope, actual));
    this.#tell(outcome);
    if (some) return outcome;
    this.#unsettled.looked(scope, outcome);
    this.#parts.statusChanged();
    return outcome;
  }

  #tell({ done, failures }: Outcome): void {
    const { log, later } = this.#parts;
    if (done.length > FEW) for (const text of describeOps(done)) log.info(text);
    else for (const op of done) log.info({ routingDomain: this.routingDomain(op.resource.slot) }, describeOp(op));
    for (const { op, error } of failures) {
      const { slot } = op.resource;
      log.error({ routingDomain: this.routingDomain(slot), err: error }, `failed: ${describeOp(op)}`);
      later({ type: 'retry', slot }, RETRY_MS);
    }
  }

  #desired(
    hands: readonly Hand[],
    running: Running,
    scope: Scope,
    actual: readonly AnyResource[],
  ): readonly AnyResource[] {
    const served = new Set(hands.flatMap((h) => h.kinds));
    // Not known is not down: what carries packets goes on until charon tells.
    const up = this.#parts.tunnels.up() ?? linksUp(actual);
    return this.#parts.desired(running, up, scope).filter((r) => served.has(r.kind));
  }

  #changed(ops: readonly Op[]): Change {
    return { ops, notes: this.#notes() };
  }

  #notes(): readonly string[] {
    const tunnels = this.#running?.config.compartments.some((c) => c.s2sInterfaces.length > 0);
    const silent = tunnels && this.#charon().length === 0;
    return silent ? ['charon does not answer: connections were neither compared nor loaded'] : [];
  }

  #failed(failures: readonly Failure[], restored: boolean, error?: unknown): Extract<Refusal, { code: 'FAILED' }> {
    const rows = failures.map(({ op, error: cause }) => ({
      op: describeOp(op),
      routingDomain: this.routingDomain(op.resource.slot),
      error: cause.message,
    }));
    if (error !== undefined) rows.push(unreadable(error));
    return { code: 'FAILED', failures: rows, restored };
  }
}

/** S2S interfaces that are set up in the kernel. */
const linksUp = (actual: readonly AnyResource[]): ReadonlySet<string> =>
  new Set(actual.flatMap((r) => (r.kind === 'xfrm' && r.spec.up ? [r.spec.name] : [])));
