/**
 * The kernel hand: namespaces, links, addresses, routes, settings and eBPF filters (DESIGN §3). What it reads back has exactly
 * the shape of the specs, so that a plan over what it just made is empty.
 *
 * Reading one compartment costs a link, address and route dump inside it and a question per port; it never grows with the
 * number of tenants. Reading the default compartment dumps its links, which are as many as there are ports. Sockets of a
 * namespace are kept until it is deleted; deleting one may block for half a second.
 */
import { setImmediate } from 'node:timers/promises';
import { DEFAULT_SLOT, netnsOf, type Slot, slotOfNetns } from '../compartments/numbers.ts';
import type { AnyResource, Hand, Kind, Netns, Op, Specs } from '../compartments/resource.ts';
import { Namespaces, type NamespacesOptions } from './namespaces.ts';
import { netnsList } from './netns.ts';
import { ensureAddress, readAddresses, removeAddress } from './resources/address.ts';
import { ensureFilter, type Programs, readFilters, removeFilter, slotOfDevice } from './resources/filter.ts';
import { ensureNetns, isOurNetns, removeNetns } from './resources/netns.ts';
import { ensureNic, type NicInUse, readNics } from './resources/nic.ts';
import { ensureRoute, readRoutes, removeRoute } from './resources/route.ts';
import { ensureSysctl, readSysctls } from './resources/sysctl.ts';
import { ensureVeth, readVeths, removeVeth, vethPorts } from './resources/veth.ts';
import { ensureXfrm, readXfrms, removeXfrm } from './resources/xfrm.ts';
import { dumpLinks, type Link, parseLink, RTM_GETLINK } from './rtnl/link.ts';

export interface KernelHandOptions extends NamespacesOptions {
  /** The loaded programs that filters may name. */
  readonly programs: Programs;
  /** Names of the settings that are wanted in a namespace; only these are read back. */
  readonly sysctls: (netns: Netns) => readonly string[];
  /** The NICs in use; asked at every reading. */
  readonly nics: () => readonly NicInUse[];
}

type KernelKind = Exclude<Kind, 'entry' | 'entries' | 'connection'>;
interface Tools {
  readonly namespaces: Namespaces;
  readonly programs: Programs;
}
/** Both are idempotent. */
interface Steps<K extends Kind> {
  ensure(tools: Tools, spec: Specs[K], key: string): void;
  remove(tools: Tools, spec: Specs[K], key: string): void;
}

const STEPS: { readonly [K in KernelKind]: Steps<K> } = {
  netns: {
    ensure: ({ namespaces }, _spec, key) => ensureNetns(namespaces, key),
    remove: ({ namespaces }, _spec, key) => removeNetns(namespaces, key),
  },
  sysctl: {
    ensure: ({ namespaces }, spec) => ensureSysctl(namespaces, spec),
    remove: () => {}, // a setting has no absence: it keeps its value and is no longer looked at
  },
  nic: {
    ensure: ({ namespaces }, spec) => ensureNic(namespaces, spec),
    remove: () => {}, // not ours: it stays as it is and is no longer looked at
  },
  veth: {
    ensure: ({ namespaces }, spec) => ensureVeth(namespaces, spec),
    remove: ({ namespaces }, spec) => removeVeth(namespaces, spec.port),
  },
  xfrm: {
    ensure: ({ namespaces }, spec) => ensureXfrm(namespaces, spec),
    remove: ({ namespaces }, spec) => removeXfrm(namespaces, spec),
  },
  address: {
    ensure: ({ namespaces }, spec) => ensureAddress(namespaces, spec),
    remove: ({ namespaces }, spec) => removeAddress(namespaces, spec),
  },
  route: {
    ensure: ({ namespaces }, spec) => ensureRoute(namespaces, spec),
    remove: ({ namespaces }, spec) => removeRoute(namespaces, spec),
  },
  filter: {
    ensure: ({ namespaces, programs }, spec) => ensureFilter(namespaces, programs, spec),
    remove: ({ namespaces, programs }, spec) => removeFilter(namespaces, programs, spec),
  },
};

/** Says which resource it was, and why in the kernel's words. */
export class HandError extends Error {
  constructor(op: Op, cause: unknown) {
    const { kind, key, label } = op.resource;
    const what = label ? `${label} (${kind} ${key})` : `${kind} ${key}`;
    super(`${op.verb} ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export class KernelHand implements Hand {
  readonly kinds: readonly Kind[] = Object.keys(STEPS) as KernelKind[];
  readonly #namespaces: Namespaces;
  readonly #options: KernelHandOptions;

  constructor(options: KernelHandOptions) {
    this.#options = options;
    this.#namespaces = new Namespaces(options);
  }

  async observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    if (slot === DEFAULT_SLOT) return this.#observeDefault();
    if (slot !== 'all') return this.#observeTenant(slot);
    const found: AnyResource[] = this.#observeDefault();
    for (const name of netnsList(this.#namespaces.directory)) {
      const tenant = slotOfNetns(name);
      if (tenant === undefined) continue;
      found.push(...this.#observeTenant(tenant));
      await setImmediate(); // thousands of compartments must not hold up the loop
    }
    return found;
  }

  async execute(op: Op): Promise<void> {
    try {
      // Links are replaced by a new one; everything else changes in its place, without a gap.
      if (op.verb === 'replace' && op.from && (op.resource.kind === 'veth' || op.resource.kind === 'xfrm'))
        this.#run('remove', op.from);
      this.#run(op.verb === 'delete' ? 'remove' : 'ensure', op.resource);
    } catch (e) {
      throw new HandError(op, e);
    }
  }

  /** Gives descriptors and sockets back; what was made stays. */
  close(): void {
    this.#namespaces.closeAll();
  }

  #run(step: keyof Steps<Kind>, { kind, key, spec }: AnyResource): void {
    const steps = (STEPS as { readonly [K in Kind]?: Steps<Kind> })[kind];
    if (!steps) throw new Error('not a resource of the kernel hand');
    steps[step]({ namespaces: this.#namespaces, programs: this.#options.programs }, spec, key);
  }

  #observeDefault(): AnyResource[] {
    const namespaces = this.#namespaces;
    const { nics, programs, sysctls } = this.#options;
    const links = namespaces.netlink('').dump(RTM_GETLINK, dumpLinks(false), parseLink);
    return [
      ...readSysctls(namespaces, '', DEFAULT_SLOT, sysctls('')),
      ...readNics(namespaces, nics()),
      ...readAddresses(namespaces, '', DEFAULT_SLOT, nameIn(links)),
      ...readRoutes(namespaces, '', DEFAULT_SLOT, nameIn(links)),
      ...links
        .filter((link) => slotOfDevice(link) === DEFAULT_SLOT)
        .flatMap((link) => readFilters(namespaces, programs, link)),
    ];
  }

  #observeTenant(slot: Slot): AnyResource[] {
    const netns = netnsOf(slot);
    try {
      return this.#namespaces.exists(netns) ? this.#readTenant(slot, netns) : [];
    } catch (e) {
      if (!this.#namespaces.exists(netns)) return []; // somebody deleted it while it was read
      throw e;
    }
  }

  #readTenant(slot: Slot, netns: Netns): AnyResource[] {
    const namespaces = this.#namespaces;
    const links = namespaces.netlink(netns).dump(RTM_GETLINK, dumpLinks(false), parseLink);
    if (!isOurNetns(links)) {
      namespaces.close(netns); // what is somebody else's is not kept alive by us
      return [];
    }
    const pairs = vethPorts(namespaces, links);
    return [
      { kind: 'netns', key: netns, slot, spec: {} },
      ...readSysctls(namespaces, netns, slot, this.#options.sysctls(netns)),
      ...readVeths(pairs, netns, slot),
      ...readXfrms(links, netns, slot),
      ...readAddresses(namespaces, netns, slot, nameIn(links)),
      ...readRoutes(namespaces, netns, slot, nameIn(links)),
      ...pairs.flatMap(({ port }) => readFilters(namespaces, this.#options.programs, port)),
    ];
  }
}

function nameIn(links: readonly Link[]): (index: number) => string | undefined {
  const names = new Map(links.map((l) => [l.index, l.name]));
  return (index) => names.get(index);
}
