/**
 * The worlds that are measured beside ours: plain kernel routing, and kernel VXLAN (RFC 7348) with a bridge, once VM to VM over
 * two hosts, once from a VM through a gateway's compartment to a server. Every element is a network namespace, every wire a
 * veth pair. Neighbours and forwarding entries are permanent: nothing is learnt while something is measured.
 *
 * VXLAN runs without UDP checksum, as RFC 7348 §5 recommends and as is best for it.
 */
import fs from 'node:fs';
import { addNetns, batch, type End, exec, ip, steer, wire } from './netns.ts';

export const VM_MTU = 1500;
export const WIRE_MTU = 1600;

export type Kind = 'plain' | 'vxlan' | 'overlay' | 'masquerade' | 'nat';
export type Place = 'vm' | 'gateway';

/** Where a measurement starts and where it ends. */
export interface Layout {
  readonly name: string;
  readonly kind: Kind;
  readonly place: Place;
  readonly source: End;
  readonly sourceAddress: string;
  /** Destination MAC of frames that the source sends. */
  readonly nextHop: string;
  readonly sink: End;
  readonly destination: string;
}

/** The elements of one layout. Their MACs tell the layout and the place: 02:00:00:00:<number>:<end>. */
export interface Elements {
  readonly vm: End;
  readonly hostPort: End;
  readonly hostWire: End;
  readonly farWire: End;
  readonly farPort: End;
  /** VM to VM: the other VM. Gateway: the compartment's internal interface. */
  readonly far: End;
  /** Gateway only. */
  readonly forwarding: End;
  readonly server: End;
}

export const PROVIDER = { host: '192.168.4.10', far: '192.168.4.33' } as const;
export const VM = '10.0.0.10';
export const SERVER = '172.16.0.10';
const FORWARDING = '172.16.0.1';

export function elements(prefix: string, number: number, place: Place, inside?: string): Elements {
  const end = (element: string, device: string, n: number): End => ({
    netns: `${prefix}-${element}`,
    device,
    mac: `02:00:00:00:0${number}:0${n}`,
  });
  const far = place === 'vm' ? 'host2' : 'gateway';
  const compartment = (device: string, n: number): End => ({
    ...end('compartment', device, n),
    ...(inside === undefined ? {} : { netns: inside }),
  });
  return {
    vm: end('vm1', 'eth0', 1),
    hostPort: end('host1', 'port', 2),
    hostWire: end('host1', 'wire', 3),
    farWire: end(far, 'wire', 4),
    farPort: end(far, place === 'vm' ? 'port' : 'p2-0', 5),
    far: place === 'vm' ? end('vm2', 'eth0', 6) : compartment('IfCi1', 6),
    forwarding: compartment('IfFw1', 7),
    server: end('server', 'eth0', 8),
  };
}

export const neighbour = (at: End, address: string, mac: string): Promise<void> =>
  ip(at.netns, `neigh replace ${address} lladdr ${mac} dev ${at.device} nud permanent`);

export const address = (at: End, cidr: string): Promise<void> =>
  ip(at.netns, `addr add ${cidr} dev ${at.device} noprefixroute`, `route replace ${networkOf(cidr)} dev ${at.device}`);

const networkOf = (cidr: string) => cidr.replace(/\.\d+\/24$/, '.0/24');

/** A network with two members that know each other for good. */
export async function segment(a: End, addressA: string, b: End, addressB: string): Promise<void> {
  await address(a, `${addressA}/24`);
  await address(b, `${addressB}/24`);
  await neighbour(a, addressB, b.mac);
  await neighbour(b, addressA, a.mac);
}

/** Namespaces and wires from the VM to the far end; what forwards is still without addresses. */
export async function wireUp(e: Elements, place: Place): Promise<void> {
  await addNetns(e.vm.netns, { forwarding: false });
  for (const netns of [e.hostWire.netns, e.farWire.netns]) await addNetns(netns, { forwarding: true });
  await addNetns(e.far.netns, { forwarding: place === 'gateway' });
  await wire(e.vm, e.hostPort, VM_MTU);
  await wire(e.hostWire, e.farWire, WIRE_MTU);
  await wire(e.farPort, e.far, VM_MTU);
  if (place === 'gateway') await wireServer(e);
  await steer(e.hostPort, 1);
}

/** The compartment's forwarding interface and the server behind it. */
export async function wireServer(e: Elements): Promise<void> {
  await addNetns(e.server.netns, { forwarding: false });
  await wire(e.forwarding, e.server, VM_MTU);
  await segment(e.forwarding, FORWARDING, e.server, SERVER);
  await ip(e.server.netns, `route add default via ${FORWARDING}`);
}

async function plain(name: string, e: Elements, place: Place): Promise<Layout> {
  const [near, far] = place === 'vm' ? ['10.0.1.1', '10.0.1.10'] : ['10.0.254.1', '10.0.254.2'];
  const destination = place === 'vm' ? far : SERVER;
  await wireUp(e, place);
  await segment(e.vm, VM, e.hostPort, '10.0.0.1');
  await segment(e.hostWire, PROVIDER.host, e.farWire, PROVIDER.far);
  await segment(e.farPort, near, e.far, far);
  await ip(e.vm.netns, 'route add default via 10.0.0.1');
  await ip(e.hostWire.netns, `route add default via ${PROVIDER.far}`);
  await ip(e.farWire.netns, `route add 10.0.0.0/24 via ${PROVIDER.host}`);
  await ip(e.far.netns, place === 'vm' ? `route add default via ${near}` : `route add 10.0.0.0/24 via ${near}`);
  if (place === 'gateway') await ip(e.farWire.netns, `route add default via ${far}`);
  return layout(name, 'plain', place, e, e.hostPort.mac, destination);
}

/** Where the kernel has bridge netfilter, it passes every bridged packet through the hooks of IP unless it is told not to. */
const BRIDGE_NETFILTER_OFF = ['iptables', 'ip6tables', 'arptables'].map((t) => `net.bridge.bridge-nf-call-${t}=0`);

async function vxlan(name: string, e: Elements, place: Place, netfilter: boolean): Promise<Layout> {
  const far = place === 'vm' ? '10.0.0.11' : '10.0.0.1';
  await wireUp(e, place);
  await segment(e.hostWire, PROVIDER.host, e.farWire, PROVIDER.far);
  await segment(e.vm, VM, e.far, far);
  await bridge(e.hostPort, PROVIDER.host, e.vm.mac, PROVIDER.far, e.far.mac);
  await bridge(e.farPort, PROVIDER.far, e.far.mac, PROVIDER.host, e.vm.mac);
  if (!netfilter && fs.existsSync('/proc/sys/net/bridge'))
    for (const { netns } of [e.hostWire, e.farWire]) await exec(netns, ['sysctl', '-q', '-w', ...BRIDGE_NETFILTER_OFF]);
  if (place === 'gateway') await ip(e.vm.netns, `route add default via ${far}`);
  return layout(name, 'vxlan', place, e, e.far.mac, place === 'vm' ? far : SERVER);
}

async function bridge(port: End, local: string, localMac: string, remote: string, remoteMac: string): Promise<void> {
  await ip(
    port.netns,
    'link add name br0 type bridge mcast_snooping 0',
    `link add name vx0 mtu ${VM_MTU} type vxlan id 5001 local ${local} dstport 4789 nolearning noudpcsum`,
    'link set dev vx0 master br0',
    `link set dev ${port.device} master br0`,
    'link set dev vx0 up',
    'link set dev br0 up',
  );
  await batch(
    'bridge',
    port.netns,
    `fdb replace ${localMac} dev ${port.device} master static`,
    `fdb replace ${remoteMac} dev vx0 master static`,
    `fdb replace ${remoteMac} dev vx0 dst ${remote} self permanent`,
  );
}

export function layout(
  name: string,
  kind: Kind,
  place: Place,
  e: Elements,
  nextHop: string,
  destination: string,
): Layout {
  const sink = place === 'vm' ? e.far : e.server;
  return { name, kind, place, source: e.vm, sourceAddress: VM, nextHop, sink, destination };
}

export const plainVm = () => plain('plain routing, 2 routers', elements('plain', 1, 'vm'), 'vm');
export const vxlanVm = () => vxlan('kernel VXLAN + bridge', elements('vxlan', 2, 'vm'), 'vm', true);
export const bareVxlanVm = () => vxlan('the same, no bridge netfilter', elements('vxlanbare', 7, 'vm'), 'vm', false);
export const plainGateway = () => plain('plain routing, 3 routers', elements('gwplain', 4, 'gateway'), 'gateway');
export const vxlanGateway = () =>
  vxlan('kernel VXLAN + bridge + veth', elements('gwvxlan', 5, 'gateway'), 'gateway', true);
export const bareVxlanGateway = () =>
  vxlan('the same, no bridge netfilter', elements('gwvxlanbare', 8, 'gateway'), 'gateway', false);
