/**
 * A host that holds a policy of a given size, filled by the product's resources, comparison and hands in this process, between
 * a VM that sends and a wire whose far end counts what arrives encapsulated. Three network namespaces, two veth pairs.
 */
import { performance } from 'node:perf_hooks';
import type { RoutingDomainId } from '../compartments/compartment.ts';
import { DEFAULT_SLOT } from '../compartments/numbers.ts';
import { plan } from '../compartments/plan.ts';
import { policyProblems, ROUTER_MAC } from '../compartments/policy.ts';
import { carryOut, observe } from '../compartments/reconcile.ts';
import type { Hand } from '../compartments/resource.ts';
import { ABI, ENTRY_MAPS, PINNED_MAPS, RECORD_MAPS, slotOfEntry } from '../encap/abi.ts';
import { type OverlayDomain, overlayLink, overlayResources } from '../encap/overlay.ts';
import type { Machine } from '../encap/record-ops.ts';
import type { BpfMap } from '../kernel/bpf.ts';
import { EntryHand } from '../kernel/entries.ts';
import { KernelHand } from '../kernel/hand.ts';
import { Namespaces } from '../kernel/namespaces.ts';
import { openPinned } from '../kernel/pinned.ts';
import { VM_MTU, WIRE_MTU } from './layouts.ts';
import { PIN } from './measure.ts';
import { addNetns, type End, exec, ip, steer, wire } from './netns.ts';
import {
  HOST_PA,
  HOSTS,
  macAt,
  policy,
  provider,
  providerOf,
  recordsOfFirst,
  type Size,
  VM_ADDRESS,
} from './scale-policy.ts';

/** Seconds. */
export interface Loading {
  readonly validating: number;
  readonly toEntries: number;
  readonly comparing: number;
  readonly toKernel: number;
}

export interface ScaleHost {
  readonly name: string;
  readonly vm: End;
  readonly destinations: number;
  readonly domains: readonly OverlayDomain[];
  /** The rest of what its entries are made from. */
  readonly machine: Machine;
  readonly entries: EntryHand;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly loading: Loading;
  /** How many entries each map got. */
  readonly entryCounts: Readonly<Record<string, number>>;
}

const seconds = (from: number) => (performance.now() - from) / 1000;

export async function scaleHost(object: string, name: string, number: number, size: Size): Promise<ScaleHost> {
  const end = (element: string, device: string, n: number): End => ({
    netns: `${name}-${element}`,
    device,
    mac: `02:00:00:00:1${number}:0${n}`,
  });
  const vm = { ...end('vm', 'eth0', 1), mac: macAt(0) };
  const [port, uplink, far] = [end('host', 'port', 2), end('host', 'wire', 3), end('far', 'wire', 4)];
  for (const e of [vm, uplink, far]) await addNetns(e.netns, { forwarding: false });
  await wire(vm, port, VM_MTU);
  await wire(uplink, far, WIRE_MTU);
  await steer(port, 1);
  await ip(vm.netns, `addr add ${VM_ADDRESS}/12 dev ${vm.device}`);
  await ip(uplink.netns, `addr add ${HOST_PA}/16 dev ${uplink.device}`);
  await ip(
    uplink.netns,
    ...Array.from(
      { length: HOSTS },
      (_, h) => `neigh replace ${providerOf(h)} lladdr ${far.mac} dev ${uplink.device} nud permanent`,
    ),
  );
  await exec(far.netns, ['tc', 'qdisc', 'add', 'dev', far.device, 'clsact']);
  await exec(far.netns, [
    ...['tc', 'filter', 'add', 'dev', far.device, 'ingress', 'prio', '1', 'handle', '1'],
    ...['bpf', 'direct-action', 'object-pinned', `${PIN}/wire_sink`],
  ]);
  const filled = await fill(object, name, uplink, port, size);
  return { name, vm, destinations: recordsOfFirst(size) - 1, ...filled };
}

async function fill(object: string, name: string, uplink: End, port: End, size: Size) {
  const home = `/run/netns/${uplink.netns}`;
  const pinned = openPinned(object, `/sys/fs/bpf/${name}/${ABI}`, PINNED_MAPS);
  const kernel = new KernelHand({ home, programs: pinned.programs, sysctls: () => [], nics: () => [] });
  const filters: Hand = {
    kinds: ['filter'],
    observe: async () => (await kernel.observe(DEFAULT_SLOT)).filter((r) => r.kind === 'filter'),
    execute: (op) => kernel.execute(op),
  };
  const maps = new Map(ENTRY_MAPS.map((m) => [m as string, pinned.maps.get(m)!]));
  const entries = new EntryHand(maps, slotOfEntry, RECORD_MAPS);
  const namespaces = new Namespaces({ home });
  const links = new Map(
    [uplink, port].map(({ device }) => {
      const link = namespaces.link('', device);
      return [device, link && overlayLink(link)];
    }),
  );
  namespaces.closeAll();
  const domains = policy(size, port.device);
  const tags = Object.fromEntries(Object.entries(pinned.programs).map(([program, { tag }]) => [program, tag]));

  const hands = [filters, entries];
  const machine = { ...provider(uplink.device), tags, link: (d: string) => links.get(d) };
  const actual = await observe(hands, 'all');
  let from = performance.now();
  const problems = policyProblems(domains.map(named));
  if (problems[0]) throw new Error(problems[0].problem);
  const validating = seconds(from);
  from = performance.now();
  const desired = overlayResources({ ...machine, domains }, true);
  const toEntries = seconds(from);
  from = performance.now();
  const ops = plan(desired, actual);
  const comparing = seconds(from);
  from = performance.now();
  const { failures } = await carryOut(hands, ops);
  const toKernel = seconds(from);
  if (failures[0]) throw failures[0].error;
  const entryCounts: Record<string, number> = {};
  for (const { resource: r } of ops)
    if (r.kind === 'entry') entryCounts[r.spec.map] = (entryCounts[r.spec.map] ?? 0) + 1;
    else if (r.kind === 'entries') entryCounts[r.key] = r.spec.table.count;
  return { domains, machine, entries, maps, entryCounts, loading: { validating, toEntries, comparing, toKernel } };
}

/** As the rules know a VM network. */
const named = (d: OverlayDomain) => ({
  ...d,
  routingDomain: d.name,
  routingDomainId: `{${d.slot}}` as RoutingDomainId,
});

export const NEXT_HOP = ROUTER_MAC;
