/**
 * What the NAT needs of the process while it runs: the sweep that ends what is idle, the block log, the probes of DIPs, and
 * the end of tenants that are gone. Without it packets go on, and nothing expires.
 */
import type { Logger } from 'pino';
import type { Slot } from '../../compartments/numbers.ts';
import { BlockJournal } from '../../nat/io/journal.ts';
import type { BlockNames, BlockRecord } from '../../nat/log.ts';
import { recordOfEvent, recordsOfBlocks } from '../../nat/log.ts';
import type { Gateway } from '../gateway.ts';
import { natSlots, netNatsOf } from '../nat.ts';
import { catchUp, fitting } from '../nat-log.ts';
import type { Running } from '../running.ts';
import type { NatPlane } from './nat-plane.ts';
import type { Probes } from './probes.ts';

const PERIOD_MS = 1000;
/** A sweep takes a fiftieth of the time at most. */
const SHARE = 50;

/** Wall-clock time at which the kernel's clock was 0, ms since 1970. */
export const bootTime = (): number => Date.now() - Number(process.hrtime.bigint() / 1_000_000n);

export class NatLoop {
  readonly #plane: NatPlane;
  readonly #gateway: Gateway;
  readonly #log: Logger;
  readonly boot = bootTime();
  readonly journal: BlockJournal;
  readonly #probes: Probes;
  #followed: Running | undefined;
  /** Tenants may be gone that still have something. */
  #departures = true;

  constructor(plane: NatPlane, gateway: Gateway, probes: Probes, stateDirectory: string, log: Logger) {
    this.#probes = probes;
    this.#plane = plane;
    this.#gateway = gateway;
    this.#log = log;
    this.journal = new BlockJournal(stateDirectory, () => Date.now());
  }

  get names(): BlockNames {
    const { running } = this.#gateway;
    return {
      pools: this.#plane.pools(netNatsOf(running?.config)),
      tenant: (slot) => {
        const id = running?.domains.get(slot);
        return id === undefined ? undefined : { name: this.#gateway.routingDomain(slot), id };
      },
      boot: this.boot,
    };
  }

  /** Once the configuration is in force: what happened while the process was away, then what happens. */
  start(): void {
    this.drain();
    const lines = catchUp(this.journal.open, recordsOfBlocks(this.#plane.blocks(), this.names), this.boot, Date.now());
    this.#write(lines);
    this.#plane.watchBlocks(() => this.drain());
    this.#tick();
  }

  /** To be told when entries of the NAT changed. */
  changed(): void {
    this.#departures = true;
  }

  /** Writes the events of blocks that came until now; before numbers change their meaning. */
  drain(): void {
    let names: BlockNames | undefined;
    this.#plane.drainBlocks((event) => {
      names ??= this.names;
      const record = recordOfEvent(event, names);
      if (record) this.#write([fitting(this.journal.open, record)]);
    });
  }

  #write(records: readonly (BlockRecord | undefined)[]): void {
    const lines = records.filter((r) => r !== undefined);
    this.journal.write(lines);
    for (const r of lines) this.#log.info(r, `NAT ports ${r.event}`);
  }

  #tick(): void {
    const began = performance.now();
    try {
      this.#plane.sweep();
      this.#follow();
      if (this.#departures) this.#purgeDeparted();
    } catch (e) {
      this.#log.error({ err: e }, 'the NAT was not swept');
    }
    const spent = performance.now() - began;
    setTimeout(() => this.#tick(), Math.max(PERIOD_MS, spent * SHARE)).unref();
  }

  #follow(): void {
    const { running } = this.#gateway;
    if (!running || running === this.#followed) return;
    this.#followed = running;
    this.#probes.follow(running);
  }

  /** Between the changes of the configuration: in the midst of one, a tenant may be away for a moment. */
  #purgeDeparted(): void {
    this.#departures = false;
    void this.#gateway
      .between(() => {
        const { running } = this.#gateway;
        const served: ReadonlySet<Slot> = running ? natSlots(running) : new Set();
        for (const slot of this.#plane.slotsInUse()) {
          if (served.has(slot) || !running) continue;
          const sessions = this.#plane.purge({ slot });
          this.#log.info({ routingDomain: this.#gateway.routingDomain(slot), sessions }, 'NAT ended for the tenant');
        }
        this.drain();
      })
      .catch((e: unknown) => {
        this.#departures = true;
        this.#log.error({ err: e }, 'what a former tenant has in the NAT was not ended');
      });
  }
}
