/**
 * The host agent: the overlay on a host, by the same loop as the gateway's. It acts in the network namespace it is started in.
 * What it makes is pinned or attached, so packets go on when it dies, and the next start adopts what runs (R-OPS-2).
 */
import fs from 'node:fs';
import type { Logger } from 'pino';
import type { HostConfig } from '../compartments/host.ts';
import { DEFAULT_SLOT } from '../compartments/numbers.ts';
import { describeOp } from '../compartments/plan.ts';
import { type Outcome, reconcile } from '../compartments/reconcile.ts';
import type { AnyResource, Hand, Kind } from '../compartments/resource.ts';
import { slotOf } from '../compartments/slots.ts';
import { formatConfigError } from '../config/error.ts';
import { loadHost } from '../config/host.ts';
import { ABI, ENTRY_MAPS, PINNED_MAPS, PROGRAMS, slotOfEntry } from '../encap/abi.ts';
import { hostDomains, type Link, overlayLink, overlayResources } from '../encap/overlay.ts';
import { EntryHand } from '../kernel/entries.ts';
import { KernelHand } from '../kernel/hand.ts';
import { Namespaces } from '../kernel/namespaces.ts';
import { openPinned, type Pinned, removeOtherPinned } from '../kernel/pinned.ts';
import { Turns } from '../lib/turns.ts';
import { formerPorts, hostSettings, settingResources } from './desired.ts';
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

export class HostAgent {
  readonly #options: AgentOptions;
  readonly #log: Logger;
  readonly #state: HostState;
  readonly #pinned: Pinned;
  readonly #kernel: KernelHand;
  readonly #namespaces = new Namespaces();
  readonly #hands: readonly Hand[];
  #config: HostConfig;
  /** Whether the maps of other versions are gone. */
  #alone = false;
  readonly #turns = new Turns();

  /** Throws ConfigRefused, or what the kernel says when the object does not load. Changes nothing yet. */
  constructor(options: AgentOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#config = readConfig(options.config);
    this.#state = new HostState(options.state);
    this.#pinned = openPinned(options.object, pinDirectory(options.pin), PINNED_MAPS);
    this.#kernel = new KernelHand({
      programs: this.#pinned.programs,
      sysctls: () => [...hostSettings(this.#config).keys()],
      nics: () => [],
    });
    const entries = new Map(ENTRY_MAPS.map((name) => [name as string, this.#pinned.maps.get(name)!]));
    this.#hands = [devicesOnly(this.#kernel), new EntryHand(entries, slotOfEntry)];
  }

  /** Makes reality the same as the configuration. Rejects when reality cannot be read. */
  reconcile(): Promise<Outcome> {
    return this.#turns.take(async () => {
      const outcome = await reconcile(this.#hands, 'all', (actual) => this.#desired(actual));
      for (const op of outcome.done) this.#log.info(describeOp(op));
      for (const { op, error } of outcome.failures) this.#log.error({ err: error }, `failed: ${describeOp(op)}`);
      if (outcome.settled && !this.#alone) {
        // Until now programs of another version may have worked on its maps.
        removeOtherPinned(this.#options.pin, ABI);
        this.#alone = true;
      }
      return outcome;
    });
  }

  /** Reads the file again; a file with errors changes nothing. */
  async reload(): Promise<void> {
    try {
      this.#config = readConfig(this.#options.config);
    } catch (e) {
      this.#log.error({ err: e }, 'configuration refused, the former one stays in force');
      return;
    }
    await this.reconcile();
  }

  /** Whether the configuration names the device. */
  concerns(device: string): boolean {
    const { netAdapters, routingDomains } = this.#config;
    return (
      netAdapters.some((a) => a.device === device) ||
      routingDomains.some((d) => d.ports.some((p) => p.device === device))
    );
  }

  /** Waits for work in progress and gives the descriptors back; the data plane goes on. */
  close(): Promise<void> {
    return this.#turns.take(async () => {
      this.#kernel.close();
      this.#namespaces.closeAll();
      this.#pinned.close();
    });
  }

  #desired(actual: readonly AnyResource[]): readonly AnyResource[] {
    const config = this.#config;
    const table = this.#state.assign(config);
    const seen = new Map<string, Link | undefined>();
    const link = (device: string): Link | undefined => {
      if (!seen.has(device)) {
        const found = this.#namespaces.link('', device);
        seen.set(device, found && overlayLink(found));
      }
      return seen.get(device);
    };
    const tags = Object.fromEntries(Object.entries(this.#pinned.programs).map(([name, p]) => [name, p.tag]));
    const overlay = overlayResources({
      ...config,
      domains: hostDomains(config, (d) => slotOf(table, d.routingDomainId)),
      tags,
      link,
    });
    return [
      ...settingResources(hostSettings(config), actual),
      ...overlay,
      ...formerPorts(overlay, actual, tags[PROGRAMS.port]!),
    ];
  }
}
