/**
 * The provider network of the overlay tests: two hosts with the agent, a gateway with the compartments of two tenants whose
 * addresses are the same, and a stranger on the same wire.
 *
 * | | Contoso | Woodgrove |
 * |---|---|---|
 * | host1 | 10.0.0.10, 10.0.0.12 | 10.0.0.10 |
 * | host2 | 10.0.0.11, 10.0.1.10 in the second subnet | 10.0.0.11 |
 * | gateway | 10.0.254.2 | 10.0.254.2 |
 */
import fs from 'node:fs';
import path from 'node:path';
import { compartmentResources, sysctlNames } from '../../compartments/desired.ts';
import { FIRST_SLOT } from '../../compartments/numbers.ts';
import { reconcile } from '../../compartments/reconcile.ts';
import { loadGateway } from '../../config/load.ts';
import { ABI, ENTRY_MAPS, PINNED_MAPS, slotOfEntry } from '../../encap/abi.ts';
import { gatewayDomains, overlayLink, overlayResources } from '../../encap/overlay.ts';
import { show as rowsOf } from '../../host/show.ts';
import { EntryHand } from '../../kernel/entries.ts';
import { KernelHand } from '../../kernel/hand.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { netnsDel, netnsList } from '../../kernel/netns.ts';
import { openPinned } from '../../kernel/pinned.ts';
import type { Mac } from '../../lib/address.ts';
import { err } from '../../lib/result.ts';
import { type Background, type Outcome, until, type World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
export const OBJECT = path.join(root, 'dist/bpf/overlay.bpf.o');

export interface Tenant {
  readonly name: string;
  readonly id: string;
  /** subnet, gateway subnet, second subnet */
  readonly vsids: readonly [number, number, number];
  /** First byte of its VMs' MACs. */
  readonly mac: string;
}
export const TENANTS: readonly Tenant[] = [
  { name: 'Contoso', id: '{11111111-2222-3333-4444-000000000001}', vsids: [5001, 5002, 5003], mac: '10' },
  { name: 'Woodgrove', id: '{11111111-2222-3333-4444-000000000002}', vsids: [6001, 6002, 6003], mac: '20' },
];
export const PA = { host1: '192.168.4.11', host2: '192.168.4.22', gateway: '192.168.4.33', stranger: '192.168.4.99' };
export type HostName = 'host1' | 'host2';

export interface Vm {
  readonly tenant: Tenant;
  readonly host: HostName;
  readonly address: string;
  readonly second?: boolean;
}
const [CONTOSO, WOODGROVE] = TENANTS as [Tenant, Tenant];
export const VMS: readonly Vm[] = [
  { tenant: CONTOSO, host: 'host1', address: '10.0.0.10' },
  { tenant: CONTOSO, host: 'host1', address: '10.0.0.12' },
  { tenant: CONTOSO, host: 'host2', address: '10.0.0.11' },
  { tenant: CONTOSO, host: 'host2', address: '10.0.1.10', second: true },
  { tenant: WOODGROVE, host: 'host1', address: '10.0.0.10' },
  { tenant: WOODGROVE, host: 'host2', address: '10.0.0.11' },
];

const tail = (address: string): string =>
  address
    .split('.')
    .slice(2)
    .map((x) => Number(x).toString(16).padStart(2, '0'))
    .join(':');
export const macOf = (vm: Pick<Vm, 'tenant' | 'address'>): Mac =>
  `${vm.tenant.mac}:10:10:10:${tail(vm.address)}` as Mac;
export const vsidOf = (vm: Vm): number => vm.tenant.vsids[vm.second ? 2 : 0];
/** Name of a VM's namespace (without the world's prefix) and of its port on the host. */
export const vmName = (vm: Vm): string =>
  `${vm.tenant.name.slice(0, 1).toLowerCase()}${vm.address.split('.').slice(2).join('-')}`;
export const find = (tenant: string, address: string): Vm =>
  VMS.find((v) => v.tenant.name === tenant && v.address === address)!;

const policy = (t: Tenant): string => `
    NetVirtualizationCustomerRoute:
      - { VirtualSubnetID: ${t.vsids[0]}, DestinationPrefix: 10.0.0.0/24, NextHop: 0.0.0.0 }
      - { VirtualSubnetID: ${t.vsids[2]}, DestinationPrefix: 10.0.1.0/24, NextHop: 0.0.0.0 }
      - { VirtualSubnetID: ${t.vsids[1]}, DestinationPrefix: 10.0.254.0/24, NextHop: 0.0.0.0 }
      - { VirtualSubnetID: ${t.vsids[1]}, DestinationPrefix: 0.0.0.0/0, NextHop: 10.0.254.2 }
    NetVirtualizationLookupRecord:
${VMS.filter((v) => v.tenant === t)
  .map(
    (v) =>
      `      - { CustomerAddress: ${v.address}, MACAddress: "${macOf(v)}", VirtualSubnetID: ${vsidOf(v)}, ProviderAddress: ${PA[v.host]}, Rule: TranslationMethodEncap }`,
  )
  .join('\n')}`;

const gatewayMac = (t: Tenant): string =>
  `02:48:4e:00:${t.vsids[1]
    .toString(16)
    .padStart(4, '0')
    .replace(/(..)(..)/, '$1:$2')}`;
const provider = (pa: string): string => `
NetAdapter:
  - { InterfaceAlias: NIC1, Device: nic, Role: Provider, Mtu: 1600 }
NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: ${pa}, PrefixLength: 24 }
RoutingDomain:
`;

export const hostYaml = (host: HostName): string =>
  `Host: ${host}${provider(PA[host])}${TENANTS.map(
    (t) => `  - Name: ${t.name}
    RoutingDomainID: "${t.id}"
    VMNetworkAdapter:
${VMS.filter((v) => v.tenant === t && v.host === host)
  .map(
    (v) =>
      `      - { VMName: ${vmName(v)}, Device: ${vmName(v)}, VirtualSubnetID: ${vsidOf(v)}, MACAddress: "${macOf(v)}", IPAddress: ${v.address} }`,
  )
  .join('\n')}${policy(t)}
      - { CustomerAddress: 10.0.254.2, MACAddress: "${gatewayMac(t)}", VirtualSubnetID: ${t.vsids[1]}, ProviderAddress: ${PA.gateway}, Rule: TranslationMethodEncap }`,
  ).join('\n')}
`;

export const gatewayYaml = (): string =>
  `Gateway: GW-VM${provider(PA.gateway)}${TENANTS.map(
    (t, i) => `  - Name: ${t.name}
    RoutingDomainID: "${t.id}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: If${'CW'[i]}i1, IsolationID: ${t.vsids[1]}, IPAddress: 10.0.254.2/24, MACAddress: "${gatewayMac(t)}" }
    NetRoute:
      - { DestinationPrefix: 10.0.0.0/16, NextHop: 10.0.254.1, InterfaceAlias: If${'CW'[i]}i1, RouteMetric: 100 }${policy(t)}`,
  ).join('\n')}
`;

/** Everything running; `agents` can be killed and started again. */
export interface Fabric {
  readonly ns: Readonly<Record<string, string>>; // by short name: host1, stranger, c0-10 …
  readonly agents: Map<HostName, Background>;
  startAgent(host: HostName, ...argv: string[]): Promise<void>;
  /** Gives the host another file; resolves once the agent has carried it out. */
  reload(host: HostName, yaml: string): Promise<void>;
  /** Runs `hnvhost` with the place of a host's maps and state. */
  cli(host: HostName, ...argv: string[]): Outcome;
  /** Rows of `hnvhost show` of a host. */
  show<T>(host: HostName, noun: string): readonly T[];
  /** The drop counter of a reason in a tenant's name ('' = nobody known) on a host. */
  drops(host: HostName, reason: string, routingDomain: string): number;
  configFile(host: HostName): string;
  /** Namespace file of a tenant's compartment on the gateway. */
  compartment(tenant: Tenant): string;
}

export async function fabric(world: World): Promise<Fabric> {
  const ns: Record<string, string> = {};
  for (const name of ['fabric', 'host1', 'host2', 'gateway', 'stranger', ...VMS.map(vmName)]) ns[name] = world.ns(name);
  world.sh(ns.fabric!, 'ip link add switch type bridge mcast_snooping 0; ip link set switch mtu 1600 up');
  for (const name of ['host1', 'host2', 'gateway', 'stranger'] as const) {
    world.wire(ns.fabric!, name, ns[name]!, 'nic', { mtu: 1600 });
    world.sh(ns.fabric!, `ip link set ${name} master switch`);
    world.sh(ns[name]!, `ip addr add ${PA[name]}/24 dev nic`);
  }
  for (const vm of VMS) {
    world.wire(ns[vm.host]!, vmName(vm), ns[vmName(vm)]!, 'eth0', { macB: macOf(vm) });
    const router = vm.address.replace(/\d+$/, '1');
    world.sh(ns[vmName(vm)]!, `ip addr add ${vm.address}/24 dev eth0; ip route add default via ${router}`);
  }

  const pins = `/sys/fs/bpf/${world.prefix}`;
  world.onClose(() => fs.rmSync(pins, { recursive: true, force: true }));
  const compartments = await gateway(world, ns.gateway!, `${pins}/gateway`, gatewayYaml());

  const configFile = (host: HostName) => path.join(world.dir, `${host}.yaml`);
  const place = (host: HostName) => ['--pin', `${pins}/${host}`, '--state', path.join(world.dir, host)];
  const agents = new Map<HostName, Background>();
  const hnvhost = [process.execPath, path.join(root, 'host/main.ts')];
  const startAgent = async (host: HostName, ...argv: string[]) => {
    const agent = world.start(ns[host]!, [
      ...hnvhost,
      'run',
      '--config',
      configFile(host),
      '--object',
      OBJECT,
      ...place(host),
      ...argv,
    ]);
    agents.set(host, agent);
    await until(() => agent.process.exitCode !== null || agent.output().includes('the overlay is in place'));
    if (agent.process.exitCode !== null) throw new Error(`agent of ${host}: ${agent.output()}`);
  };
  const reload = async (host: HostName, yaml: string) => {
    const agent = agents.get(host)!;
    const times = () => agent.output().split('configuration read again').length;
    const before = times();
    fs.writeFileSync(configFile(host), yaml);
    agent.process.kill('SIGHUP');
    await until(() => times() > before, undefined, `${host} has carried out the new file`);
  };
  for (const host of ['host1', 'host2'] as const) {
    fs.writeFileSync(configFile(host), hostYaml(host));
    await startAgent(host);
  }
  // In this process, because a process per look is slow; the maps are the agent's own.
  const show = <T>(host: HostName, noun: string) =>
    rowsOf(noun, { pin: `${pins}/${host}`, state: path.join(world.dir, host) }) as unknown as readonly T[];
  const cli = (host: HostName, ...argv: string[]): Outcome =>
    world.exec(ns[host]!, [...hnvhost, ...argv, ...place(host)]);
  const drops = (host: HostName, reason: string, routingDomain: string): number =>
    show<{ Reason: string; RoutingDomain: string; Packets: number }>(host, 'drops')
      .filter((d) => d.Reason === reason && d.RoutingDomain === routingDomain)
      .reduce((sum, d) => sum + d.Packets, 0);
  return {
    ns,
    agents,
    startAgent,
    reload,
    cli,
    show,
    drops,
    configFile,
    compartment: (t) => compartments[TENANTS.indexOf(t)]!,
  };
}

/** A gateway's compartments and its overlay, made by the product's resources and hands; returns the compartments' namespace files. */
export async function gateway(world: World, home: string, pin: string, yaml: string): Promise<readonly string[]> {
  const loaded = loadGateway('gateway.yaml', yaml, () => err('no secrets here'));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const config = loaded.value;
  const directory = path.join(world.dir, 'compartments');
  fs.mkdirSync(directory);
  const options = { directory, home: world.nsPath(home) };
  const namespaces = new Namespaces(options);
  const pinned = openPinned(OBJECT, `${pin}/${ABI}`, PINNED_MAPS);
  const kernel = new KernelHand({ ...options, programs: pinned.programs, sysctls: sysctlNames, nics: () => [] });
  world.onClose(() => {
    kernel.close();
    namespaces.closeAll();
    pinned.close();
    for (const name of netnsList(directory)) netnsDel(name, directory);
    world.exec('', ['umount', '-l', directory]); // the hands bind it to itself, as ip(8) does with its own
  });
  const entries = new EntryHand(new Map(ENTRY_MAPS.map((m) => [m as string, pinned.maps.get(m)!])), slotOfEntry);
  const slotOf = (c: (typeof config.compartments)[number]) => FIRST_SLOT + config.compartments.indexOf(c);
  const ours = {
    kinds: kernel.kinds,
    // The provider address is the test's own, and settings of the default compartment do not matter here.
    observe: async () => (await kernel.observe('all')).filter((r) => r.slot !== 1 || r.kind === 'filter'),
    execute: kernel.execute.bind(kernel),
  };
  const outcome = await reconcile([ours, entries], 'all', () => [
    ...config.compartments.flatMap((c) =>
      compartmentResources(c, { slot: slotOf(c), up: new Set(), ifId: () => 0, innerMtu: 1500 }),
    ),
    ...overlayResources({
      ...config,
      domains: gatewayDomains(config, slotOf),
      tags: Object.fromEntries(Object.entries(pinned.programs).map(([name, p]) => [name, p.tag])),
      link: (device) => {
        const link = namespaces.link('', device);
        return link && overlayLink(link);
      },
    }),
  ]);
  if (!outcome.settled) throw new Error(`gateway: ${outcome.failures.map((f) => f.error.message).join('\n')}`);
  return config.compartments.map((c) => path.join(directory, `c${slotOf(c)}`));
}
