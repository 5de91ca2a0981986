/** The overlay's eBPF object on this gateway: programs and pinned maps, the entries hand, links by name, and drop counters. */
import type { GatewayConfig, RoutingDomainId } from '../../compartments/compartment.ts';
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import type { Scope } from '../../compartments/reconcile.ts';
import type { AnyResource, Op } from '../../compartments/resource.ts';
import { slotOf } from '../../compartments/slots.ts';
import { type DataPlaneEvent, watchEvents } from '../../control/io/ring.ts';
import { ENTRY_MAPS, PINNED_MAPS, RECORD_MAPS, slotOfEntry } from '../../encap/abi.ts';
import { gatewayDomains, type Link, overlayLink, overlayResources } from '../../encap/overlay.ts';
import { type Machine, recordOps } from '../../encap/record-ops.ts';
import type { Changed } from '../../encap/records.ts';
import type { Entries } from '../../encap/show.ts';
import { EntryHand } from '../../kernel/entries.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { openPinned, type Pinned } from '../../kernel/pinned.ts';
import { derive } from '../../lib/derive.ts';
import type { Running } from '../running.ts';

export class DataPlane {
  readonly #pinned: Pinned;
  readonly #namespaces = new Namespaces();
  readonly hand: EntryHand;

  /** Throws when the kernel refuses the object (the verifier's words are in the message) or pinned maps have another layout. */
  constructor(objectFile: string, pinDirectory: string) {
    this.#pinned = openPinned(objectFile, pinDirectory, PINNED_MAPS);
    const entryMaps = new Map(ENTRY_MAPS.map((name) => [name as string, this.#pinned.maps.get(name)!]));
    this.hand = new EntryHand(entryMaps, slotOfEntry, RECORD_MAPS);
  }

  get programs(): Pinned['programs'] {
    return this.#pinned.programs;
  }

  /** The overlay's resources of one slot or of all. A tenant's are made from that tenant alone. */
  resources({ config, table }: Running, scope: Scope): readonly AnyResource[] {
    const domains = gatewayDomains(config, (c) => slotOf(table, c.routingDomainId));
    const chosen = scope === 'all' || scope === DEFAULT_SLOT ? domains : domains.filter((d) => d.slot === scope);
    const all = overlayResources({ ...this.#machine(config), domains: chosen }, scope === 'all');
    return scope === 'all' ? all : all.filter((r) => r.slot === scope);
  }

  /** What must be done when only records of some VM networks changed. */
  recordOps(before: Running, after: Running, networks: Changed['networks']): readonly Op[] {
    const domainOf = ({ config, table, positions, records }: Running, id: RoutingDomainId) => {
      const compartments = [config.compartments[positions.get(id)!]!];
      const [domain] = gatewayDomains({ ...config, compartments }, (c) => slotOf(table, c.routingDomainId));
      return derive(domain!, { records: records.networks.get(id)!.kept['lookup-record'] });
    };
    const changes = [...networks].map(([id, touched]) => ({
      before: domainOf(before, id),
      after: domainOf(after, id),
      touched,
    }));
    return recordOps(this.#machine(after.config), changes, after.records);
  }

  /** What the overlay needs beside the VM networks; a link is asked for once. */
  #machine(config: GatewayConfig): Machine {
    const seen = new Map<string, Link | undefined>();
    return {
      netAdapters: config.netAdapters,
      providerAddresses: config.providerAddresses,
      providerRoutes: config.providerRoutes,
      ...(config.encapsulation && { encapsulation: config.encapsulation }),
      tags: Object.fromEntries(Object.entries(this.programs).map(([name, p]) => [name, p.tag])),
      link: (device) => {
        if (!seen.has(device)) seen.set(device, this.#link(device));
        return seen.get(device);
      },
    };
  }

  /** What a map holds now; of `drops` the values of all CPUs. */
  *entries(map: 'records' | 'drops'): Entries {
    for (const batch of this.#pinned.maps.get(map)!.batches()) yield* batch;
  }

  /** Name of a device of the default compartment. */
  device(index: number): string {
    return this.#namespaces.link('', index)?.name ?? String(index);
  }

  /** Of a device that exists, bytes. */
  mtu(device: string): number | undefined {
    return this.#link(device)?.mtu;
  }

  /** What the data plane tells as it happens; one listener in one process. */
  watch(handler: (events: readonly DataPlaneEvent[]) => void): { close(): void } {
    return watchEvents(this.#pinned.maps.get('events')!, handler);
  }

  #link(device: string): Link | undefined {
    const link = this.#namespaces.link('', device);
    return link && overlayLink(link);
  }
}
