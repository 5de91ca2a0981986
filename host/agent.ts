/**
 * The host agent: the overlay on a host, by the same loop as the gateway's. It acts in the network namespace it is started in.
 * What it makes is pinned or attached, so packets go on when it dies, and the next start adopts what runs (R-OPS-2).
 */
import fs from 'node:fs';
import type { Logger } from 'pino';
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { HostConfig } from '../compartments/host.ts';
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import { describeOp, describeOps } from '../compartments/plan.ts';
import { carryOut, type Failure, type Outcome, reconcile } from '../compartments/reconcile.ts';
import { formatRecordError } from '../compartments/record-reasons.ts';
import type { AnyResource, Hand, Kind, Op } from '../compartments/resource.ts';
import { slotOf } from '../compartments/slots.ts';
import { formatConfigError } from '../config/error.ts';
import { loadHost } from '../config/host.ts';
import { changeInForce } from '../control/change.ts';
import { dropNotice } from '../control/drops.ts';
import { EventHub } from '../control/hub.ts';
import { RecordFiles } from '../control/io/record-files.ts';
import { watchEvents } from '../control/io/ring.ts';
import { Learner } from '../control/learner.ts';
import { mergeRecords, ownRecords } from '../control/merge.ts';
import type { AskForChanges, RecordPlane, RecordRefusal } from '../control/plane.ts';
import { ABI, ENTRY_MAPS, PINNED_MAPS, PROGRAMS, RECORD_MAPS, slotOfEntry } from '../encap/abi.ts';
import { hostDomains, type Link, overlayLink, overlayResources } from '../encap/overlay.ts';
import type { Machine } from '../encap/record-ops.ts';
import type { RecordChange, RecordStore } from '../encap/records.ts';
import { EntryHand } from '../kernel/entries.ts';
import { KernelHand } from '../kernel/hand.ts';
import { Namespaces } from '../kernel/namespaces.ts';
import { openPinned, type Pinned, removeOtherPinned } from '../kernel/pinned.ts';
import type { Result } from '../lib/result.ts';
import { Turns } from '../lib/turns.ts';
import { formerPorts, hostSettings, settingResources } from './desired.ts';
import { type HostPolicy, hostPolicy, hostRecordOps, hostRecords, withRecords } from './policy.ts';
import { HostState } from './state.ts';

export interface AgentOptions {
  readonly config: string; // file
  readonly state: string; // directory
  readonly pin: string; // directory on a BPF file system
  readonly object: string; // overlay.bpf.o
}

/** Maps of this layout; another layout has another directory. */
export const pinDirectory = (pin: string): string => `${pin}/${ABI}`;

/** The configuration does not load; `message` has a line for each error. */
export class ConfigRefused extends Error {}

export function readConfig(file: string): HostConfig {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (e) {
    throw new ConfigRefused(`${file}: ${(e as Error).message}`);
  }
  const config = loadHost(file, text);
  if (!config.ok) throw new ConfigRefused(config.error.map(formatConfigError).join('\n'));
  return config.value;
}

/**
 * Programs on devices and settings are all that a host has of the kernel's kinds. The compartments of a gateway in the same
 * machine are none of its business, nor is anything else that bears the mark.
 */
function devicesOnly(kernel: KernelHand): Hand {
  const kinds: readonly Kind[] = ['filter', 'sysctl'];
  return {
    kinds,
    observe: async () => (await kernel.observe(DEFAULT_SLOT)).filter((r) => kinds.includes(r.kind)),
    execute: (op) => kernel.execute(op),
  };
}

export class HostAgent implements RecordPlane {
  readonly #options: AgentOptions;
  readonly #log: Logger;
  readonly #state: HostState;
  readonly #pinned: Pinned;
  readonly #kernel: KernelHand;
  readonly #namespaces = new Namespaces();
  readonly #hands: readonly Hand[];
  readonly #files: RecordFiles;
  #policy: HostPolicy;
  /** Whether the maps of other versions are gone. */
  #alone = false;
  readonly #turns = new Turns();
  readonly events = new EventHub();
  readonly #learner = new Learner({ plane: this, routingDomainId: (slot) => this.#domains.get(slot) });
  #domains: ReadonlyMap<Slot, RoutingDomainId> = new Map();
  #watch: { close(): void } | undefined;

  /** Throws ConfigRefused, or what the kernel says when the object does not load. Changes nothing yet. */
  constructor(options: AgentOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#state = new HostState(options.state);
    this.#files = new RecordFiles(options.state);
    this.#policy = this.#merged(readConfig(options.config), this.#files.read());
    this.#pinned = openPinned(options.object, pinDirectory(options.pin), PINNED_MAPS);
    this.#kernel = new KernelHand({
      programs: this.#pinned.programs,
      sysctls: () => [...hostSettings(this.#policy.config).keys()],
      nics: () => [],
    });
    const entries = new Map(ENTRY_MAPS.map((name) => [name as string, this.#pinned.maps.get(name)!]));
    this.#hands = [devicesOnly(this.#kernel), new EntryHand(entries, slotOfEntry, RECORD_MAPS)];
  }

  /** Makes reality the same as the configuration. Rejects when reality cannot be read. */
  reconcile(): Promise<Outcome> {
    return this.#turns.take(() => this.#reconcile());
  }

  async #reconcile(): Promise<Outcome> {
    const outcome = await reconcile(this.#hands, 'all', (actual) => this.#desired(actual));
    this.#tell(outcome.done, outcome.failures);
    if (outcome.settled && !this.#alone) {
      // Until now programs of another version may have worked on its maps.
      removeOtherPinned(this.#options.pin, ABI);
      this.#alone = true;
    }
    return outcome;
  }

  #tell(done: readonly Op[], failures: readonly Failure[]): void {
    for (const text of describeOps(done)) this.#log.info(text);
    for (const { op, error } of failures) this.#log.error({ err: error }, `failed: ${describeOp(op)}`);
  }

  /** The file with the records of run time; where they contradict each other the file wins. */
  #merged(config: HostConfig, own: readonly RecordChange[]): HostPolicy {
    const { store, dropped } = mergeRecords(hostRecords(config), own);
    for (const e of dropped) this.#log.warn({ code: e.code }, `not in force: ${formatRecordError(e)}`);
    return hostPolicy(config, store);
  }

  /** Reads the file again; a file with errors changes nothing. */
  async reload(): Promise<void> {
    try {
      const config = readConfig(this.#options.config);
      await this.#turns.take(async () => {
        this.#policy = this.#merged(config, ownRecords(this.#policy.records));
        this.#files.saveAll(this.#policy.records);
      });
    } catch (e) {
      this.#log.error({ err: e }, 'configuration refused, the former one stays in force');
      return;
    }
    const { done, settled } = await this.reconcile();
    this.#log.info({ ops: done.length, settled }, 'configuration read again');
  }

  /** Whether the configuration names the device. */
  concerns(device: string): boolean {
    const { netAdapters, routingDomains } = this.#policy.config;
    return (
      netAdapters.some((a) => a.device === device) ||
      routingDomains.some((d) => d.ports.some((p) => p.device === device))
    );
  }

  records(): RecordStore {
    return this.#policy.records;
  }

  /**
   * Changes policy records, all of them or none. Records of VM networks become the entries that differ; provider addresses and
   * routes lie under everything, so they are compared with everything.
   */
  changeRecords(ask: AskForChanges): Promise<Result<readonly Op[], RecordRefusal>> {
    return this.#turns.take(() =>
      changeInForce(this.records(), ask, {
        put: async (_from, to, { networks, machine }) => {
          const before = this.#policy;
          this.#policy = withRecords(before, to, [...networks.keys()]);
          if (machine) return this.#reconcile();
          const ops = hostRecordOps(this.#machine(), this.#state.table, before, this.#policy, networks);
          const { done, failures } = await carryOut(this.#hands, ops);
          this.#tell(done, failures);
          return { done, failures, settled: failures.length === 0 };
        },
        failures: (outcome) =>
          outcome.failures.map(({ op, error }) => ({
            op: describeOp(op),
            routingDomain: this.#state.nameOf(op.resource.slot),
            error: error.message,
          })),
        save: (changed) => this.#files.save(changed),
      }),
    );
  }

  /** Hears what the data plane tells, until close(); one listener in one process. */
  listen(): void {
    const names = {
      routingDomain: (slot: Slot) => this.#state.nameOf(slot),
      device: (index: number) => this.#namespaces.link('', index)?.name ?? `index ${index}`,
    };
    this.#watch = watchEvents(this.#pinned.maps.get('events')!, (happened) => {
      const learned = happened.filter((e) => e.type === 'LEARNED');
      if (learned.length)
        this.#learner
          .take(learned, performance.now())
          .catch((e: unknown) => this.#log.error({ err: e }, 'learning failed'));
      if (!this.events.idle) for (const e of happened) if (e.type === 'DROPPED') this.events.tell(dropNotice(e, names));
    });
  }

  /** Forgets learned addresses that were not heard of for long. */
  age(): Promise<void> {
    return this.#learner.age(performance.now());
  }

  ageOf(id: RoutingDomainId, key: string): number | undefined {
    const heard = this.#learner.heardAt(id, key);
    return heard === undefined ? undefined : (performance.now() - heard) / 1000;
  }

  /** Waits for work in progress and gives the descriptors back; the data plane goes on. */
  close(): Promise<void> {
    return this.#turns.take(async () => {
      this.#watch?.close();
      this.#kernel.close();
      this.#namespaces.closeAll();
      this.#pinned.close();
    });
  }

  #desired(actual: readonly AnyResource[]): readonly AnyResource[] {
    const { config } = this.#policy;
    const table = this.#state.assign(config);
    this.#domains = new Map(config.routingDomains.map((d) => [slotOf(table, d.routingDomainId), d.routingDomainId]));
    const machine = this.#machine();
    const domains = hostDomains(config, (d) => slotOf(table, d.routingDomainId));
    const overlay = overlayResources({ ...machine, domains }, true);
    return [
      ...settingResources(hostSettings(config), actual),
      ...overlay,
      ...formerPorts(overlay, actual, machine.tags[PROGRAMS.port]!),
    ];
  }

  /** What the overlay needs beside the VM networks; a link is asked for once. */
  #machine(): Machine {
    const { netAdapters, providerAddresses, providerRoutes, encapsulation } = this.#policy.config;
    const seen = new Map<string, Link | undefined>();
    return {
      netAdapters,
      providerAddresses,
      providerRoutes,
      ...(encapsulation && { encapsulation }),
      tags: Object.fromEntries(Object.entries(this.#pinned.programs).map(([name, p]) => [name, p.tag])),
      link: (device) => {
        if (!seen.has(device)) {
          const found = this.#namespaces.link('', device);
          seen.set(device, found && overlayLink(found));
        }
        return seen.get(device);
      },
    };
  }
}
