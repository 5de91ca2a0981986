/**
 * The world as data: namespaces, wires, bridges, addresses and routes. `script.ts` turns it into one shell script. Two NICs of
 * the guest lead to the appliance: eth0 is the internet wire, eth1 the provider wire.
 *
 *     eth0 ─ internet ─┬─ contoso-ny ─── contoso-ny-srv        eth1 ─ fabric ─┬─ host1 ─┬─ contoso-vm
 *                      ├─ woodgrove-ny ─ woodgrove-ny-srv      (bridge, 1600) │         └─ woodgrove-vm
 *                      └─ woodgrove-sfo ─ woodgrove-sfo-srv                   ├─ host2 ─── contoso-vm2, woodgrove-vm2
 *                                                                             └─ rogue
 */
import {
  CLOUD_ROUTER,
  GATEWAY,
  HOSTS,
  PROVIDER_MTU,
  ROGUE,
  SITES,
  type Site,
  serverOf,
  VMS,
  type Vm,
} from '../fabrikam.ts';

export interface Route {
  readonly prefix: string;
  readonly via?: string;
}

/** A namespace; `bridge` names the bridge that it holds, with the router's addresses on it where it routes. */
export interface Netns {
  readonly name: string;
  readonly forward?: boolean;
  readonly bridges?: readonly { readonly name: string; readonly mtu: number; readonly address?: string }[];
  readonly routes?: readonly Route[];
  /** Prefix pairs that may leave only through IPsec: without an SA they are dropped, never sent in clear. */
  readonly protect?: readonly { readonly from: string; readonly to: string }[];
}

export interface End {
  readonly netns: string;
  readonly device: string;
  readonly mac?: string;
  readonly address?: string; // with prefix length
  readonly bridge?: string;
}

/** A veth pair, or with `nic` a NIC of the guest whose end `a` is inside the world. */
export interface Wire {
  readonly a: End;
  readonly b?: End;
  readonly nic?: string;
  readonly mtu: number;
}

export interface Topology {
  readonly netns: readonly Netns[];
  readonly wires: readonly Wire[];
}

const bridgeOf = (router: string): string => `br${router.split('.')[0]}`;

const siteNetns = (s: Site): Netns[] => [
  {
    name: s.netns,
    forward: true,
    routes: [{ prefix: 'default', via: s.router }],
    protect: [{ from: s.lan, to: '10.0.0.0/16' }],
  },
  { name: serverOf(s), routes: [{ prefix: 'default', via: s.lanRouter }] },
];

const siteWires = (s: Site): Wire[] => [
  {
    a: { netns: s.netns, device: 'wan', address: `${s.destination}/24` },
    b: { netns: 'internet', device: s.netns, bridge: bridgeOf(s.router) },
    mtu: 1500,
  },
  {
    a: { netns: s.netns, device: 'lan', address: `${s.lanRouter}/24` },
    b: { netns: serverOf(s), device: 'eth0', address: `${s.server}/24` },
    mtu: 1500,
  },
];

const vmWire = (vm: Vm): Wire => ({
  a: { netns: vm.netns, device: 'eth0', address: `${vm.address}/24`, mac: vm.mac },
  b: { netns: vm.host, device: vm.device },
  mtu: 1500,
});

const fabricWire = (netns: string, device: string, address: string, mac?: string): Wire => ({
  a: { netns, device, address: `${address}/24`, ...(mac && { mac }) },
  b: { netns: 'fabric', device: netns, bridge: 'br0' },
  mtu: PROVIDER_MTU,
});

const routers = [...new Set(SITES.map((s) => s.router))];

export const TOPOLOGY: Topology = {
  netns: [
    {
      name: 'internet',
      forward: true,
      bridges: routers.map((r) => ({ name: bridgeOf(r), mtu: 1500, address: `${r}/24` })),
    },
    { name: 'fabric', bridges: [{ name: 'br0', mtu: PROVIDER_MTU }] },
    ...Object.keys(HOSTS).map((name) => ({ name })),
    { name: ROGUE.netns },
    ...SITES.flatMap(siteNetns),
    ...VMS.map((vm) => ({ name: vm.netns, routes: [{ prefix: 'default', via: CLOUD_ROUTER }] })),
  ],
  wires: [
    { nic: 'eth0', a: { netns: 'internet', device: 'eth0', address: `${GATEWAY.router}/24` }, mtu: 1500 },
    { nic: 'eth1', a: { netns: 'fabric', device: 'eth1', bridge: 'br0' }, mtu: PROVIDER_MTU },
    ...Object.entries(HOSTS).map(([name, pa]) => fabricWire(name, 'nic', pa)),
    fabricWire(ROGUE.netns, 'nic', ROGUE.address, ROGUE.mac),
    ...SITES.flatMap(siteWires),
    ...VMS.map(vmWire),
  ],
};
