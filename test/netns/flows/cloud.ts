/**
 * The networks of the book's first chapter (R-ENC-4…9): hosts with the product's agent, VMs, a forwarding gateway and physical
 * servers, made step by step. A scenario is said once, in the four kinds of cmdlet-shaped records; two tenants get it at the
 * same time with the same addresses and the same MACs. Only virtual subnet ids differ: Woodgrove's are 10,000 higher.
 */
import fs from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { show as rowsOf } from '../../../host/show.ts';
import { gateway as makeGateway, OBJECT } from '../fabric.ts';
import { type Background, type Outcome, until, type World } from '../world.ts';

const root = path.resolve(import.meta.dirname, '../../..');

export interface Tenant {
  readonly name: 'Contoso' | 'Woodgrove';
  readonly id: string;
  /** Added to every virtual subnet id of a scenario. */
  readonly offset: number;
  /** Payload bytes of its pings, so that a frame tells whose it is, whatever its VSID claims. */
  readonly size: number;
}
export const TENANTS: readonly Tenant[] = [
  { name: 'Contoso', id: '{11111111-2222-3333-4444-000000000001}', offset: 0, size: 56 },
  { name: 'Woodgrove', id: '{11111111-2222-3333-4444-000000000002}', offset: 10_000, size: 104 },
];

/** Provider addresses and the MACs of the NICs that carry them. */
export const PROVIDERS = {
  host1: { address: '192.168.4.11', mac: '02:00:00:00:04:11' },
  host2: { address: '192.168.4.22', mac: '02:00:00:00:04:22' },
  gateway: { address: '192.168.4.33', mac: '02:00:00:00:04:33' },
} as const;
export type Machine = keyof typeof PROVIDERS;
export type Host = Exclude<Machine, 'gateway'>;

/** A VM of each tenant; with `only` of one. `Contoso1` is number 1 of Contoso. */
export interface Vm {
  readonly number: number;
  readonly host: Host;
  readonly address: string;
  readonly mac: string;
  readonly vsid: number;
  readonly only?: Tenant['name'];
  /** Its address is not told to the hosts. */
  readonly learned?: boolean;
}

/** `VirtualSubnetID` without the tenant's offset. */
export interface VirtualSubnet {
  readonly VirtualSubnetID: number;
  readonly DynamicLearning?: boolean;
  readonly AgeingTimeSeconds?: number;
  readonly Replication?: boolean;
  readonly DSCP?: number;
}

export interface CustomerRoute {
  readonly VirtualSubnetID: number;
  readonly DestinationPrefix: string;
  readonly NextHop: string;
}

/** `ProviderAddress: 'own'` = of the machine that holds the record. */
export interface LookupRecord {
  readonly CustomerAddress: string;
  readonly MACAddress: string;
  readonly VirtualSubnetID: number;
  readonly ProviderAddress: string;
  readonly Rule: 'TranslationMethodEncap';
  readonly Type?: 'Static' | 'L2Only' | 'GatewayWildcard';
}

/** A gateway whose compartments have a second interface on the tenant's physical network (R-CMP-4). */
export interface Forwarding {
  readonly vsid: number;
  readonly address: string; // of the internal interface, /24
  readonly mac: string;
  /** NetRoute: prefixes behind the virtual subnet's .1 */
  readonly routes: readonly string[];
  readonly outside: { readonly address: string; readonly mac: string };
  readonly server: { readonly address: string; readonly mac: string };
}

export interface Scenario {
  readonly vms: readonly Vm[];
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
  readonly virtualSubnets?: readonly VirtualSubnet[];
  readonly forwarding?: Forwarding;
}

export const recordOf = (vm: Pick<Vm, 'address' | 'mac' | 'vsid' | 'host'>): LookupRecord => ({
  CustomerAddress: vm.address,
  MACAddress: vm.mac,
  VirtualSubnetID: vm.vsid,
  ProviderAddress: PROVIDERS[vm.host].address,
  Rule: 'TranslationMethodEncap',
});

/** The `.1` of an address's /24. */
export const routerOf = (address: string): string => address.replace(/\d+$/, '1');

const belongs = (vm: Vm, t: Tenant): boolean => vm.only === undefined || vm.only === t.name;

type Sender = number | 'server' | 'gateway';

export class Cloud {
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #pins: string;
  readonly #fabric: string;
  readonly #machines = new Map<Machine, string>();
  readonly #vms = new Map<string, string>();
  readonly #agents = new Map<Host, Background>();
  #compartments: readonly string[] = [];

  constructor(world: World, scenario: Scenario) {
    this.#world = world;
    this.#scenario = scenario;
    this.#pins = `/sys/fs/bpf/${world.prefix}`;
    world.onClose(() => fs.rmSync(this.#pins, { recursive: true, force: true }));
    this.#fabric = world.ns('fabric');
    world.sh(this.#fabric, 'ip link add switch type bridge mcast_snooping 0; ip link set switch mtu 1600 up');
  }

  /** A host whose VMs exist already, and its agent with the whole policy. */
  async addHost(host: Host): Promise<void> {
    const ns = this.#onTheWire(host);
    for (const vm of this.#scenario.vms.filter((v) => v.host === host))
      for (const t of TENANTS.filter((x) => belongs(vm, x))) this.#addVm(ns, t, vm);
    await this.startAgent(host);
  }

  async startAgent(host: Host): Promise<void> {
    const config = path.join(this.#world.dir, `${host}.yaml`);
    fs.writeFileSync(config, this.hostYaml(host));
    const agent = this.#world.start(this.machine(host), [
      ...[process.execPath, path.join(root, 'host/main.ts'), 'run', '--config', config, '--object', OBJECT],
      ...['--pin', `${this.#pins}/${host}`, '--state', path.join(this.#world.dir, host)],
    ]);
    this.#agents.set(host, agent);
    const inPlace = () => agent.process.exitCode !== null || agent.output().includes('the overlay is in place');
    await until(inPlace, undefined, `agent of ${host}`);
    if (agent.process.exitCode !== null) throw new Error(`agent of ${host}: ${agent.output()}`);
  }

  /**
   * The gateway's compartments, and their second interfaces. These are made by hand: the product has no resource yet for an
   * adapter of role Forwarding.
   */
  async addGateway(): Promise<void> {
    const ns = this.#onTheWire('gateway');
    this.#compartments = await makeGateway(this.#world, ns, `${this.#pins}/gateway`, this.gatewayYaml());
    const { outside } = this.#forwarding();
    for (const t of TENANTS) {
      const server = this.#world.ns(`server${t.name[0]}`);
      this.inCompartment(
        t,
        `ip link add Phys address ${outside.mac} type veth peer name eth0 netns ${server}
         echo 1 > /proc/sys/net/ipv6/conf/Phys/disable_ipv6; ip addr add ${outside.address}/24 dev Phys; ip link set Phys up`,
      );
      this.#vms.set(this.#name(t, 'server'), server);
    }
  }

  /** The tenants' physical servers get their addresses, and the gateway as next hop to the prefixes given. */
  addServers(prefixes: readonly string[]): void {
    const { outside, server } = this.#forwarding();
    const routes = prefixes.map((p) => `ip route add ${p} via ${outside.address}`).join('; ');
    for (const t of TENANTS)
      this.#world.sh(
        this.vm(t, 'server'),
        `ip link set eth0 address ${server.mac} up; ip addr add ${server.address}/24 dev eth0; ${routes}`,
      );
  }

  /** Namespace of a VM, or of the tenant's physical server. */
  vm(t: Tenant, number: number | 'server'): string {
    return this.#vms.get(this.#name(t, number))!;
  }

  machine(name: Machine): string {
    return this.#machines.get(name)!;
  }

  inCompartment(t: Tenant, script: string): string {
    return this.#world.sh('', `nsenter --net=${this.compartment(t)} sh -ec '${script}'`);
  }

  /** Namespace file of the tenant's compartment. */
  compartment(t: Tenant): string {
    return this.#compartments[TENANTS.indexOf(t)]!;
  }

  /** Pings of the tenant's size, from a VM, the physical server, or the gateway's compartment. */
  ping(t: Tenant, from: Sender, to: string, count = 2): Promise<Outcome> {
    return this.#ping(t, from, to, count, 10);
  }

  /** As `ping`, where no answer may come: it is not waited for as long. */
  pingInVain(t: Tenant, from: Sender, to: string): Promise<Outcome> {
    return this.#ping(t, from, to, 2, 1);
  }

  #ping(t: Tenant, from: Sender, to: string, count: number, seconds: number): Promise<Outcome> {
    const argv = ['ping', '-n', '-c', `${count}`, '-i', '0.1', '-W', `${seconds}`, '-s', `${t.size}`, to];
    return from === 'gateway'
      ? this.#world.run('', ['nsenter', `--net=${this.compartment(t)}`, '--', ...argv])
      : this.#world.run(this.vm(t, from), argv);
  }

  agent(host: Host): Background {
    return this.#agents.get(host)!;
  }

  /** `hnvhost` with the place of a host's agent. */
  hnvhost(host: Host, ...argv: string[]): readonly string[] {
    return [process.execPath, path.join(root, 'host/main.ts'), ...argv, '--state', path.join(this.#world.dir, host)];
  }

  /** Of a host's agent. */
  socket(host: Host): string {
    return path.join(this.#world.dir, host, 'api.sock');
  }

  /** Where a host's maps are, for `hnvhost show`. */
  pin(host: Host): readonly string[] {
    return ['--pin', `${this.#pins}/${host}`];
  }

  /** The drop counter of a reason in a tenant's name on a host. */
  drops(host: Host, reason: string, t: Tenant): number {
    const place = { pin: `${this.#pins}/${host}`, state: path.join(this.#world.dir, host) };
    const rows = rowsOf('drops', place) as unknown as readonly {
      Reason: string;
      RoutingDomain: string;
      Packets: number;
    }[];
    return rows.filter((r) => r.Reason === reason && r.RoutingDomain === t.name).reduce((sum, r) => sum + r.Packets, 0);
  }

  hostYaml(host: Host): string {
    const adapters = (t: Tenant) =>
      this.#scenario.vms
        .filter((vm) => vm.host === host && belongs(vm, t))
        .map((vm) => ({
          VMName: this.#name(t, vm.number),
          Device: this.#name(t, vm.number),
          VirtualSubnetID: vm.vsid + t.offset,
          MACAddress: vm.mac,
          ...(!vm.learned && { IPAddress: vm.address }),
        }));
    return stringify({
      Host: host,
      ...this.#provider(host),
      RoutingDomain: TENANTS.map((t) => ({
        Name: t.name,
        RoutingDomainID: t.id,
        VMNetworkAdapter: adapters(t),
        ...this.#records(t, host),
      })),
    });
  }

  gatewayYaml(): string {
    const { vsid, address, mac, routes } = this.#forwarding();
    return stringify({
      Gateway: 'MT-GW',
      ...this.#provider('gateway'),
      RoutingDomain: TENANTS.map((t) => ({
        Name: t.name,
        RoutingDomainID: t.id,
        VMNetworkAdapterRoutingDomainMapping: [
          { IsolationName: `${t.name}GW`, IsolationID: vsid + t.offset, IPAddress: `${address}/24`, MACAddress: mac },
        ],
        NetRoute: routes.map((DestinationPrefix) => ({
          DestinationPrefix,
          NextHop: routerOf(address),
          InterfaceAlias: `${t.name}GW`,
          RouteMetric: 100,
        })),
        ...this.#records(t, 'gateway'),
      })),
    });
  }

  #provider(machine: Machine) {
    return {
      NetAdapter: [{ InterfaceAlias: 'NIC1', Device: 'nic', Role: 'Provider', Mtu: 1600 }],
      NetVirtualizationProviderAddress: [
        { InterfaceAlias: 'NIC1', ProviderAddress: PROVIDERS[machine].address, PrefixLength: 24 },
      ],
    };
  }

  #records(t: Tenant, machine: Machine) {
    const { vms, customerRoutes, lookupRecords, virtualSubnets } = this.#scenario;
    const foreign = new Set(vms.filter((vm) => !belongs(vm, t)).map((vm) => vm.address));
    const own = PROVIDERS[machine].address;
    return {
      NetVirtualizationCustomerRoute: customerRoutes.map((r) => ({
        ...r,
        VirtualSubnetID: r.VirtualSubnetID + t.offset,
      })),
      ...(virtualSubnets && {
        VirtualSubnet: virtualSubnets.map((s) => ({ ...s, VirtualSubnetID: s.VirtualSubnetID + t.offset })),
      }),
      NetVirtualizationLookupRecord: lookupRecords
        .filter((r) => !foreign.has(r.CustomerAddress))
        .map((r) => ({
          ...r,
          VirtualSubnetID: r.VirtualSubnetID + t.offset,
          ProviderAddress: r.ProviderAddress === 'own' ? own : r.ProviderAddress,
        })),
    };
  }

  #forwarding(): Forwarding {
    const { forwarding } = this.#scenario;
    if (!forwarding) throw new Error('the scenario has no gateway');
    return forwarding;
  }

  #onTheWire(machine: Machine): string {
    const { address, mac } = PROVIDERS[machine];
    const ns = this.#world.ns(machine);
    this.#world.wire(this.#fabric, machine, ns, 'nic', { mtu: 1600, macB: mac });
    this.#world.sh(this.#fabric, `ip link set ${machine} master switch`);
    this.#world.sh(ns, `ip addr add ${address}/24 dev nic`);
    this.#machines.set(machine, ns);
    return ns;
  }

  #addVm(host: string, t: Tenant, vm: Vm): void {
    const name = this.#name(t, vm.number);
    const ns = this.#world.ns(name);
    this.#world.wire(host, name, ns, 'eth0', { macB: vm.mac });
    this.#world.sh(ns, `ip addr add ${vm.address}/24 dev eth0; ip route add default via ${routerOf(vm.address)}`);
    this.#vms.set(name, ns);
  }

  #name(t: Tenant, number: number | 'server'): string {
    return `${t.name}${number}`;
  }
}
