/**
 * Two machines of a provider network with VMs of two tenants whose addresses of both families are the same, put together from
 * the product's resources and hands without YAML: for what the data path carries in every encapsulation and outer family. The
 * wire is narrower than what the VMs believe, so nothing large crosses unless the senders are told.
 *
 * | | machine1 | machine2 |
 * |---|---|---|
 * | each tenant | a: 10.0.0.10, fd00:0:0:1::10 | b: 10.0.0.11, fd00:0:0:1::11 and, second subnet, c: 10.0.1.12, fd00:0:0:3::12 |
 *
 * With `learning` the machines know where the VMs' MACs are (L2Only) and no address; with `replication` there is one VM more on
 * the first machine, d: 10.0.0.13, and the virtual subnets carry broadcast and multicast.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { CustomerRoute, LookupRecord, VirtualSubnet } from '../../compartments/compartment.ts';
import { reconcile } from '../../compartments/reconcile.ts';
import {
  ABI,
  decodeEvent,
  ENTRY_MAPS,
  type Encapsulation,
  type LearnedEvent,
  PINNED_MAPS,
  slotOfEntry,
} from '../../encap/abi.ts';
import { type OverlayDomain, overlayLink, overlayResources } from '../../encap/overlay.ts';
import { dropRows } from '../../encap/show.ts';
import { RingBuf } from '../../kernel/bpf/ringbuf.ts';
import { EntryHand } from '../../kernel/entries.ts';
import { KernelHand } from '../../kernel/hand.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { openPinned, type Pinned } from '../../kernel/pinned.ts';
import type { Address, Family, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import type { World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const OBJECT = path.join(root, 'dist/bpf/overlay.bpf.o');

/** Of the wire; the VMs have 1500 too. */
export const WIRE_MTU = 1500;
export const MACHINES = ['machine1', 'machine2'] as const;
export type MachineName = (typeof MACHINES)[number];
export const PROVIDER: Readonly<Record<MachineName, { readonly 4: Address; readonly 6: Address }>> = {
  machine1: { 4: '192.168.4.11' as Address, 6: 'fd99::11' as Address },
  machine2: { 4: '192.168.4.22' as Address, 6: 'fd99::22' as Address },
};

export interface Guest {
  readonly name: string;
  readonly machine: MachineName;
  readonly subnet: 0 | 1;
  readonly 4: string;
  readonly 6: string;
}
export const GUESTS: readonly Guest[] = [
  { name: 'a', machine: 'machine1', subnet: 0, 4: '10.0.0.10', 6: 'fd00:0:0:1::10' },
  { name: 'b', machine: 'machine2', subnet: 0, 4: '10.0.0.11', 6: 'fd00:0:0:1::11' },
  { name: 'c', machine: 'machine2', subnet: 1, 4: '10.0.1.12', 6: 'fd00:0:0:3::12' },
];
/** On the first machine, beside a. */
export const NEIGHBOUR: Guest = { name: 'd', machine: 'machine1', subnet: 0, 4: '10.0.0.13', 6: 'fd00:0:0:1::13' };
const SUBNETS = [
  { 4: '10.0.0.0/24', 6: 'fd00:0:0:1::/64', router: { 4: '10.0.0.1', 6: 'fd00:0:0:1::1' } },
  { 4: '10.0.1.0/24', 6: 'fd00:0:0:3::/64', router: { 4: '10.0.1.1', 6: 'fd00:0:0:3::1' } },
] as const;
export const TENANTS = [
  { name: 'Contoso', letter: 'c', slot: 2, vsids: [5001, 5003], mac: '10' },
  { name: 'Woodgrove', letter: 'w', slot: 3, vsids: [6001, 6003], mac: '20' },
] as const;
export type Tenant = (typeof TENANTS)[number];

export const guestMac = (t: Tenant, g: Guest): Mac => `${t.mac}:10:10:10:0${g.subnet}:0${g.name}` as Mac;

export interface Features {
  readonly learning?: boolean;
  readonly replication?: boolean;
  /** The VLAN of a machine's provider address. */
  readonly vlans?: Partial<Readonly<Record<MachineName, number>>>;
  /** What every virtual subnet has beside, on a machine. */
  readonly subnets?: Partial<Readonly<Record<MachineName, Partial<VirtualSubnet>>>>;
  readonly sourceCheck?: boolean;
}

function domain(
  t: Tenant,
  machine: MachineName,
  outer: Family,
  guests: readonly Guest[],
  { learning = false, replication = false, subnets, sourceCheck = false }: Features,
): OverlayDomain {
  const record = (g: Guest, family: Family): LookupRecord => ({
    customerAddress: g[family] as Address,
    mac: guestMac(t, g),
    vsid: t.vsids[g.subnet],
    providerAddress: PROVIDER[g.machine][outer],
    rule: 'TranslationMethodEncap',
    type: learning ? 'L2Only' : 'Static',
  });
  return {
    name: t.name,
    slot: t.slot,
    ports: guests
      .filter((g) => g.machine === machine)
      .map((g) => ({
        name: t.letter + g.name,
        device: t.letter + g.name,
        vsid: t.vsids[g.subnet],
        mac: guestMac(t, g),
        addresses: learning ? [] : ([g[4], g[6]] as Address[]),
        gateway: false,
      })),
    customerRoutes: SUBNETS.flatMap((s, i) =>
      [s[4], s[6]].map((p) => ({ vsid: t.vsids[i]!, destinationPrefix: p as Prefix, metric: 0 })),
    ),
    lookupRecords: guests.flatMap((g) => (learning ? [record(g, 4)] : [record(g, 4), record(g, 6)])),
    virtualSubnets: t.vsids.map((vsid) => ({
      ...{ vsid, dynamicLearning: learning, ageingTimeSeconds: 300, replication },
      ...subnets?.[machine],
    })),
    sourceCheck,
  };
}

export interface Machines {
  /** Namespace of a machine, or of a VM by its tenant's letter and its own: `ca`, `wb`. */
  readonly ns: Readonly<Record<string, string>>;
  drops(machine: MachineName, reason: string, tenant: string): number;
  /** What the machine's data path has learned since the last call. */
  learned(machine: MachineName): readonly LearnedEvent[];
  /** Gives a machine further records of a tenant, in place of Dynamic ones for the same addresses, and routes. */
  add(
    machine: MachineName,
    slot: number,
    records: readonly LookupRecord[],
    routes?: readonly CustomerRoute[],
  ): Promise<void>;
  /** Takes the device of a tenant's VM from one machine to another; the VM notices nothing. Records stay as they are. */
  move(t: Tenant, g: Guest, to: MachineName): Promise<void>;
}

interface Attached {
  readonly pinned: Pinned;
  apply(domains: readonly OverlayDomain[]): Promise<void>;
}

async function attach(
  world: World,
  machine: MachineName,
  ns: string,
  encapsulation: Encapsulation,
  outer: Family,
  vlanId: number | undefined,
): Promise<Attached> {
  const pin = `/sys/fs/bpf/${world.prefix}-${machine}`;
  world.onClose(() => fs.rmSync(pin, { recursive: true, force: true }));
  const options = { directory: path.join(world.dir, machine), home: world.nsPath(ns) };
  const namespaces = new Namespaces(options);
  const pinned = openPinned(OBJECT, `${pin}/${ABI}`, PINNED_MAPS);
  const kernel = new KernelHand({ ...options, programs: pinned.programs, sysctls: () => [], nics: () => [] });
  world.onClose(() => {
    kernel.close();
    namespaces.closeAll();
    pinned.close();
  });
  const filters = {
    kinds: kernel.kinds,
    observe: async () => (await kernel.observe('all')).filter((r) => r.kind === 'filter'),
    execute: kernel.execute.bind(kernel),
  };
  const entries = new EntryHand(new Map(ENTRY_MAPS.map((m) => [m as string, pinned.maps.get(m)!])), slotOfEntry);
  const resources = (domains: readonly OverlayDomain[]) =>
    overlayResources({
      netAdapters: [{ interfaceAlias: 'NIC1', device: 'nic', role: 'Provider' }],
      providerAddresses: [
        {
          ...{ interfaceAlias: 'NIC1', providerAddress: PROVIDER[machine][outer], prefixLength: outer === 4 ? 24 : 64 },
          ...(vlanId !== undefined && { vlanId }),
        },
      ],
      providerRoutes: [],
      domains,
      encapsulation,
      tags: Object.fromEntries(Object.entries(pinned.programs).map(([name, p]) => [name, p.tag])),
      link: (device) => {
        const link = namespaces.link('', device);
        return link && overlayLink(link);
      },
    });
  return {
    pinned,
    apply: async (domains) => {
      const outcome = await reconcile([filters, entries], 'all', () => resources(domains));
      if (!outcome.settled) throw new Error(`${machine}: ${outcome.failures.map((f) => f.error.message).join('\n')}`);
    },
  };
}

export async function machines(
  world: World,
  encapsulation: Encapsulation,
  outer: Family,
  features: Features = {},
): Promise<Machines> {
  const guests = features.replication ? [...GUESTS, NEIGHBOUR] : GUESTS;
  execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
  const ns: Record<string, string> = {};
  const make = (name: string) => {
    ns[name] = world.ns(name);
    // No duplicate address detection, so that addresses are usable at once.
    world.sh(
      ns[name],
      'for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done',
    );
  };
  for (const m of MACHINES) make(m);
  world.wire(ns.machine1!, 'nic', ns.machine2!, 'nic', { mtu: WIRE_MTU });
  for (const m of MACHINES)
    world.sh(ns[m]!, `ip addr add ${PROVIDER[m][4]}/24 dev nic; ip addr add ${PROVIDER[m][6]}/64 dev nic nodad`);
  for (const t of TENANTS)
    for (const g of guests) {
      const name = t.letter + g.name;
      make(name);
      world.wire(ns[g.machine]!, name, ns[name]!, 'eth0', { macB: guestMac(t, g) });
      world.sh(ns[g.machine]!, `echo 1 > /proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
      const { router } = SUBNETS[g.subnet];
      world.sh(
        ns[name]!,
        `ip addr add ${g[4]}/24 dev eth0; ip route add default via ${router[4]}
        ip addr add ${g[6]}/64 dev eth0 nodad; ip route add default via ${router[6]} dev eth0`,
      );
    }
  const attached = {
    machine1: await attach(world, 'machine1', ns.machine1!, encapsulation, outer, features.vlans?.machine1),
    machine2: await attach(world, 'machine2', ns.machine2!, encapsulation, outer, features.vlans?.machine2),
  };
  const policy = { machine1: [] as OverlayDomain[], machine2: [] as OverlayDomain[] };
  for (const m of MACHINES) {
    policy[m] = TENANTS.map((t) => domain(t, m, outer, guests, features));
    await attached[m].apply(policy[m]);
  }
  const rings = {
    machine1: new RingBuf(attached.machine1.pinned.maps.get('events')!),
    machine2: new RingBuf(attached.machine2.pinned.maps.get('events')!),
  };
  const names = { routingDomain: (slot: number) => TENANTS.find((t) => t.slot === slot)?.name ?? '', device: String };
  return {
    ns,
    drops: (machine, reason, tenant) =>
      dropRows([...attached[machine].pinned.maps.get('drops')!.batches()].flat(), names)
        .filter((r) => r.Reason === reason && r.RoutingDomain === tenant)
        .reduce((sum, r) => sum + Number(r.Packets), 0),
    learned: (machine) => {
      const events: LearnedEvent[] = [];
      rings[machine].drain((buf, at, length) => {
        const event = decodeEvent(buf.subarray(at, at + length));
        if (event?.type === 'LEARNED') events.push(event);
      });
      return events;
    },
    add: async (machine, slot, records, routes = []) => {
      policy[machine] = policy[machine].map((d) =>
        d.slot === slot
          ? {
              ...d,
              customerRoutes: [...d.customerRoutes, ...routes],
              lookupRecords: [
                ...d.lookupRecords.filter(
                  (r) => r.type !== 'Dynamic' || !records.some((x) => x.customerAddress === r.customerAddress),
                ),
                ...records,
              ],
            }
          : d,
      );
      await attached[machine].apply(policy[machine]);
    },
    move: async (t, g, to) => {
      const name = t.letter + g.name;
      const from = MACHINES.find((m) =>
        policy[m].some((d) => d.slot === t.slot && d.ports.some((p) => p.name === name)),
      )!;
      const port = policy[from].find((d) => d.slot === t.slot)!.ports.find((p) => p.name === name)!;
      for (const m of MACHINES)
        policy[m] = policy[m].map((d) => {
          if (d.slot !== t.slot) return d;
          const others = d.ports.filter((p) => p !== port);
          return { ...d, ports: m === to ? [...others, port] : others };
        });
      world.sh(ns[from]!, `ip link set ${name} netns ${ns[to]}`);
      world.sh(ns[to]!, `echo 1 > /proc/sys/net/ipv6/conf/${name}/disable_ipv6; ip link set ${name} up`);
      for (const m of MACHINES) await attached[m].apply(policy[m]);
    },
  };
}
