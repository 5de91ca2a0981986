/**
 * The worlds of bench:nat: VM – compartment – gateway – server, each with all elements of its own. They differ in what stands
 * between the compartment and the outside: nothing (the gateway routes), nftables masquerade in the compartment, or our NAT.
 */
import path from 'node:path';
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { FilteringBehavior, NetNat } from '../compartments/nat.ts';
import type { Address } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import { natMac } from '../nat/abi.ts';
import { type Layout, neighbour, segment, VM, VM_MTU } from './layouts.ts';
import { addNetns, type End, exec, ip, steer, wire } from './netns.ts';

export const SLOT = 2;
const ATTACH = path.join(import.meta.dirname, 'nat-attach.ts');
const EXTERNAL = '131.107.10.10';
const ISP = '131.107.10.1';
const SERVER = '65.10.10.100';
const ROUTER = '10.0.0.1';
/** Of the link between compartment and gateway where the kernel routes. */
const [INNER, OUTER] = ['172.16.0.2', '172.16.0.1'];
/** nat0's default route leads to nobody: the frames are the NAT's before any address matters. */
const NOBODY = '169.254.0.1';

export const idOf = (slot: number): RoutingDomainId =>
  `{11111111-2222-3333-4444-${`${slot}`.padStart(12, '0')}}` as RoutingDomainId;

/** What nat-attach.ts is given. */
export interface NatEdge {
  readonly nat: NetNat;
  readonly nic: string;
  readonly address: string;
  readonly gateway: string;
  readonly slots: readonly number[];
  /** Directory for the pins. */
  readonly pin: string;
  readonly sizes: Readonly<Record<string, number>>;
}

/** How a path forgets its flows; see newflows.c. */
export interface NatLayout extends Layout {
  readonly forget: string;
}

interface Elements {
  readonly vm: End;
  readonly port: End;
  readonly nat: End;
  readonly edge: End;
  readonly nic: End;
  readonly server: End;
}

function elements(prefix: string, number: number): Elements {
  const end = (element: string, device: string, n: number): End => ({
    netns: `${prefix}-${element}`,
    device,
    mac: `02:00:00:00:2${number}:0${n}`,
  });
  return {
    vm: end('vm', 'eth0', 1),
    port: end('compartment', 'in0', 2),
    nat: { ...end('compartment', 'nat0', 3), mac: natMac(SLOT) },
    edge: end('gateway', `n${SLOT}`, 4),
    nic: end('gateway', 'nic', 5),
    server: end('server', 'eth0', 6),
  };
}

/** Everything but the way from the compartment to the outside. */
async function wireUp(e: Elements, options: { readonly forwarding: boolean }): Promise<void> {
  for (const { netns } of [e.vm, e.server]) await addNetns(netns, { forwarding: false });
  await addNetns(e.port.netns, { forwarding: true });
  await addNetns(e.nic.netns, options);
  await wire(e.vm, e.port, VM_MTU);
  await wire(e.nat, e.edge, VM_MTU);
  await wire(e.nic, e.server, VM_MTU);
  await steer(e.port, 1);
  await segment(e.vm, VM, e.port, ROUTER);
  await segment(e.nic, EXTERNAL, e.server, ISP);
  await ip(e.vm.netns, `route add default via ${ROUTER}`);
  await ip(e.nic.netns, `route add default via ${ISP}`);
  await ip(e.server.netns, `addr add ${SERVER}/32 dev ${e.server.device}`, `route add default via ${EXTERNAL}`);
}

const layoutOf = (name: string, kind: Layout['kind'], e: Elements, forget: string): NatLayout => ({
  name,
  kind,
  place: 'gateway',
  source: e.vm,
  sourceAddress: VM,
  nextHop: e.port.mac,
  sink: e.server,
  destination: SERVER,
  forget,
});

async function routed(e: Elements): Promise<void> {
  await wireUp(e, { forwarding: true });
  await segment(e.nat, INNER, e.edge, OUTER);
  await ip(e.nat.netns, `route add default via ${OUTER}`);
}

export async function plainNat(): Promise<NatLayout> {
  const e = elements('natplain', 1);
  await routed(e);
  await ip(e.edge.netns, `route add 10.0.0.0/24 via ${INNER}`);
  return layoutOf('no NAT', 'plain', e, '-');
}

/** Flows of a slice never come near it; where the machine's limit is lower, the figures would be of drops. */
const CONNTRACK = 1 << 17;

export async function masquerade(): Promise<NatLayout> {
  const e = elements('natmasq', 2);
  await routed(e);
  const rules = `table ip nat { chain out { type nat hook postrouting priority srcnat; oifname "${e.nat.device}" masquerade; }; }`;
  await exec(e.nat.netns, ['nft', rules]);
  const limit = Number(await exec(e.nat.netns, ['cat', '/proc/sys/net/netfilter/nf_conntrack_max']));
  if (limit < CONNTRACK) throw new Error(`net.netfilter.nf_conntrack_max is ${limit}: set it to ${CONNTRACK} or more`);
  return layoutOf('nftables masquerade', 'masquerade', e, `conntrack:/run/netns/${e.nat.netns}`);
}

const netNat = (filtering: FilteringBehavior, externalAddresses: NetNat['externalAddresses']): NetNat => ({
  name: 'AllTenants',
  externalIpInterfaceAddressPrefix: '131.107.10.0/24' as Prefix,
  icmpQueryTimeout: 30,
  tcpEstablishedConnectionTimeout: 1800,
  tcpTransientConnectionTimeout: 120,
  udpIdleSessionTimeout: 120,
  tcpFilteringBehavior: filtering,
  udpFilteringBehavior: filtering,
  udpInboundRefresh: false,
  portBlockSize: 1024,
  portQuarantineSeconds: 120,
  externalAddresses,
  staticMappings: [],
  oneToOneMappings: [],
  policy: [],
  quotas: [{ portBlocks: 128, sessions: 1 << 20 }],
  loadBalancingRules: [],
});

const addressOf = (n: number, tenants: readonly number[]): NetNat['externalAddresses'][number] => ({
  ipAddress: `131.107.10.${n}` as Address,
  portStart: 1024,
  portEnd: 65535,
  routingDomainIds: tenants.map(idOf),
});

async function ours(
  e: Elements,
  nat: NetNat,
  others: readonly number[] = [],
  sizes: NatEdge['sizes'] = {},
): Promise<NatEdge> {
  await wireUp(e, { forwarding: false });
  await ip(e.nat.netns, `route add default via ${NOBODY} dev ${e.nat.device} onlink metric 4096`);
  await neighbour(e.nat, NOBODY, e.edge.mac);
  for (const slot of others) {
    const { compartment, edge } = otherTenant(e, slot);
    await addNetns(compartment.netns, { forwarding: false });
    await wire(compartment, edge, VM_MTU);
  }
  const edge = {
    nat,
    nic: e.nic.device,
    address: EXTERNAL,
    gateway: ISP,
    slots: [SLOT, ...others],
    pin: `/sys/fs/bpf/${e.nic.netns}`,
    sizes,
  };
  await exec(e.nic.netns, [process.execPath, ATTACH, JSON.stringify(edge)]);
  return edge;
}

const otherTenant = (e: Elements, slot: number) => ({
  compartment: { netns: `${e.nat.netns}-c${slot}`, device: 'nat0', mac: natMac(slot) },
  edge: { netns: e.edge.netns, device: `n${slot}`, mac: `02:00:00:01:00:${slot.toString(16).padStart(2, '0')}` },
});

export async function oursNat(filtering: FilteringBehavior, number: number): Promise<NatLayout> {
  const e = elements(`natours${number}`, number);
  const { pin } = await ours(e, netNat(filtering, [addressOf(10, [])]));
  return layoutOf(`NAT of the gateway, ${filtering}`, 'nat', e, `purge:${pin}/nat_purge:${SLOT}`);
}

/** Eight more tenants, through whose compartments flows can be opened, with three addresses each. */
export const OTHERS = [3, 4, 5, 6, 7, 8, 9, 10] as const;
const THREE = [0, 1, 2] as const;

export interface FullLayout extends NatLayout {
  /** PATHs of newflows.c, one a tenant. */
  readonly fill: readonly string[];
  readonly pin: string;
}

/** The same, with room for a million flows of others. */
export async function fullNat(number: number): Promise<FullLayout> {
  const e = elements('natfull', number);
  const own = addressOf(10, [SLOT]);
  const theirs = OTHERS.flatMap((slot, i) => THREE.map((k) => addressOf(20 + 3 * i + k, [slot])));
  const nat = netNat('AddressAndPortDependentFiltering' as FilteringBehavior, [own, ...theirs]);
  const { pin } = await ours(e, nat, OTHERS, { flows: 1 << 21 });
  const fill = OTHERS.map((slot) => {
    const { compartment, edge } = otherTenant(e, slot);
    return [`/run/netns/${compartment.netns}`, compartment.device, edge.mac, VM, SERVER, '-'].join(',');
  });
  const forget = `purge:${pin}/nat_purge:${SLOT}`;
  return { ...layoutOf('NAT of the gateway, 1,000,000 mappings', 'nat', e, forget), fill, pin };
}
