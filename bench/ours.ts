/**
 * The overlay's own layouts: the product's object and the product's resources (`attach.ts`, run in the namespace of a host or
 * of the gateway). VM to VM stays in one virtual subnet, as a bridge does; towards the gateway the distributed router takes
 * the frame to the gateway's virtual subnet.
 */
import path from 'node:path';
import type {
  Compartment,
  CustomerRoute,
  GatewayConfig,
  LookupRecord,
  RoutingDomainId,
} from '../compartments/compartment.ts';
import type { HostConfig } from '../compartments/host.ts';
import { FIRST_SLOT, netnsOf } from '../compartments/numbers.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import type { Address, Mac } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import {
  address,
  type Elements,
  elements,
  type Layout,
  layout,
  neighbour,
  PROVIDER,
  SERVER,
  segment,
  VM,
  VM_MTU,
  WIRE_MTU,
  wireServer,
  wireUp,
} from './layouts.ts';
import { addNetns, type End, exec, ip, quiet, steer, wire } from './netns.ts';

const VM_VSID = 5001;
const GATEWAY_VSID = 5002;
const FAR_VM = '10.0.0.11';
const ROUTER = '10.0.0.1';
const COMPARTMENT = '10.0.254.2';
const COMPARTMENT_ROUTER = '10.0.254.1';
const ATTACH = path.join(import.meta.dirname, 'attach.ts');

const identity = {
  routingDomain: 'Contoso',
  routingDomainId: '{11111111-2222-3333-4444-000000000001}' as RoutingDomainId,
};

const record = (
  type: 'Static' | 'GatewayWildcard',
  customerAddress: string,
  mac: string,
  vsid: number,
  providerAddress: string,
): LookupRecord => ({
  customerAddress: customerAddress as Address,
  mac: mac as Mac,
  vsid,
  providerAddress: providerAddress as Address,
  rule: 'TranslationMethodEncap',
  type,
});

const route = (vsid: number, prefix: string, nextHop?: string): CustomerRoute => ({
  vsid,
  destinationPrefix: prefix as Prefix,
  metric: 0,
  ...(nextHop === undefined ? {} : { nextHop: nextHop as Address }),
});

const provider = (device: string, providerAddress: string) => ({
  netAdapters: [{ interfaceAlias: 'NIC1', device, role: 'Provider' as const, mtu: WIRE_MTU }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: providerAddress as Address, prefixLength: 24 }],
  providerRoutes: [],
});

type Policy = Pick<Compartment, 'customerRoutes' | 'lookupRecords'>;

const host = (uplink: End, pa: string, port: End, vm: End, ca: string, policy: Policy): HostConfig => ({
  host: uplink.netns,
  ...provider(uplink.device, pa),
  routingDomains: [
    {
      ...identity,
      ...policy,
      ports: [{ name: 'VM', device: port.device, vsid: VM_VSID, mac: vm.mac as Mac, addresses: [ca as Address] }],
    },
  ],
});

const gateway = (e: Elements, policy: Policy): GatewayConfig => ({
  gateway: e.farWire.netns,
  ...provider(e.farWire.device, PROVIDER.far),
  compartments: [
    {
      ...identity,
      ...policy,
      internalInterfaces: [
        {
          name: e.far.device,
          vsid: GATEWAY_VSID,
          addresses: [{ address: COMPARTMENT as Address, prefixLength: 24 }],
          mac: e.far.mac as Mac,
        },
      ],
      routes: [
        {
          destinationPrefix: '10.0.0.0/24' as Prefix,
          nextHop: COMPARTMENT_ROUTER as Address,
          interfaceAlias: e.far.device,
          metric: 100,
        },
      ],
      s2sInterfaces: [],
    },
  ],
});

const attach = async (netns: string, role: 'host' | 'gateway', config: HostConfig | GatewayConfig): Promise<void> => {
  await exec(netns, [process.execPath, ATTACH, role, `${VM_MTU}`, JSON.stringify(config)]);
};

/** Two VMs of one virtual subnet on two hosts. */
export async function overlayVm(): Promise<Layout> {
  const e = elements('overlay', 3, 'vm');
  await wireUp(e, 'vm');
  await segment(e.hostWire, PROVIDER.host, e.farWire, PROVIDER.far);
  await segment(e.vm, VM, e.far, FAR_VM);
  const policy = {
    customerRoutes: [route(VM_VSID, '10.0.0.0/24')],
    lookupRecords: [
      record('Static', VM, e.vm.mac, VM_VSID, PROVIDER.host),
      record('Static', FAR_VM, e.far.mac, VM_VSID, PROVIDER.far),
    ],
  };
  await attach(e.hostWire.netns, 'host', host(e.hostWire, PROVIDER.host, e.hostPort, e.vm, VM, policy));
  await attach(e.farWire.netns, 'host', host(e.farWire, PROVIDER.far, e.farPort, e.far, FAR_VM, policy));
  return layout('overlay', 'overlay', 'vm', e, e.far.mac, FAR_VM);
}

/** A VM, its host, and a gateway that makes the compartment by itself. */
export async function overlayGateway(): Promise<Layout> {
  const compartment = netnsOf(FIRST_SLOT);
  const e = elements('gwoverlay', 6, 'gateway', compartment);
  for (const end of [e.vm, e.hostWire, e.farWire]) await addNetns(end.netns, { forwarding: false });
  await wire(e.vm, e.hostPort, VM_MTU);
  await wire(e.hostWire, e.farWire, WIRE_MTU);
  await steer(e.hostPort, 1);
  await segment(e.hostWire, PROVIDER.host, e.farWire, PROVIDER.far);
  await address(e.vm, `${VM}/24`);
  await neighbour(e.vm, ROUTER, ROUTER_MAC);
  await ip(e.vm.netns, `route add default via ${ROUTER}`);
  const customerRoutes = [
    route(VM_VSID, '10.0.0.0/24'),
    route(GATEWAY_VSID, '10.0.254.0/24'),
    route(GATEWAY_VSID, '0.0.0.0/0', COMPARTMENT),
  ];
  const vm = record('Static', VM, e.vm.mac, VM_VSID, PROVIDER.host);
  const wildcard = record('GatewayWildcard', COMPARTMENT, e.far.mac, GATEWAY_VSID, PROVIDER.far);
  const policy = { customerRoutes, lookupRecords: [vm, wildcard] };
  await attach(e.hostWire.netns, 'host', host(e.hostWire, PROVIDER.host, e.hostPort, e.vm, VM, policy));
  await attach(e.farWire.netns, 'gateway', gateway(e, { customerRoutes, lookupRecords: [vm] }));
  await quiet(compartment, { forwarding: true });
  await neighbour(e.far, COMPARTMENT_ROUTER, ROUTER_MAC);
  await wireServer(e);
  return layout('overlay into the compartment', 'overlay', 'gateway', e, ROUTER_MAC, SERVER);
}
