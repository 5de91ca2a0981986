/**
 * A gateway with everything that the NAT tells apart, small enough that ports, blocks and limits run out: four tenants with the
 * same addresses inside, shared and own external addresses, static and one-to-one mappings, policy, services.
 */
import type { NetAdapter, RoutingDomainId } from '../../compartments/compartment.ts';
import type { LoadBalancingRule, NetNat } from '../../compartments/nat.ts';
import type { Address } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import type { NatInput, NatTenant } from '../../nat/entries.ts';

export const NIC = 20;
export const deviceOf = (slot: number): number => 30 + slot;
export const idOf = (slot: number): RoutingDomainId =>
  `{11111111-2222-3333-4444-00000000000${slot}}` as RoutingDomainId;
export const SLOTS = [2, 3, 4, 5];
const external = (n: number): Address => `131.107.10.${n}` as Address;
const host = (n: number): Address => `10.0.0.${n}` as Address;

export const OWN = external(10);
export const HOSTS = [10, 11, 12, 30].map(host);
/** Who is spoken to outside. */
export const REMOTES = [
  '65.10.10.100',
  '65.10.10.10',
  '66.1.1.1',
  '67.1.1.1',
  '192.0.2.9',
  '131.107.10.77',
] as Address[];

const rule = (
  slot: number,
  name: string,
  protocol: 'TCP' | 'UDP',
  [address, port]: readonly [Address, number],
  backendPort: number,
  dips: readonly Address[],
  loadDistribution: LoadBalancingRule['loadDistribution'] = 'Default',
): LoadBalancingRule => ({
  name,
  routingDomainId: idOf(slot),
  protocol,
  frontendIpAddress: address,
  frontendPort: port,
  backendPort,
  loadDistribution,
  backends: dips.map((ipAddress) => ({ ipAddress, weight: 1, draining: false })),
});

const TIMES = {
  icmpQueryTimeout: 30,
  tcpEstablishedConnectionTimeout: 1800,
  tcpTransientConnectionTimeout: 120,
  udpIdleSessionTimeout: 60,
};

const SHARED: NetNat = {
  name: 'Shared',
  externalIpInterfaceAddressPrefix: '131.107.10.0/24' as Prefix,
  ...TIMES,
  tcpFilteringBehavior: 'EndpointIndependentFiltering',
  udpFilteringBehavior: 'EndpointIndependentFiltering',
  udpInboundRefresh: false,
  portBlockSize: 64,
  portQuarantineSeconds: 120,
  externalAddresses: [
    { ipAddress: OWN, portStart: 4480, portEnd: 4699, routingDomainIds: [] }, // IKE's 4500 is in its first block
    { ipAddress: external(11), portStart: 9000, portEnd: 9127, routingDomainIds: [] },
    { ipAddress: external(12), portStart: 1025, portEnd: 1088, routingDomainIds: [idOf(4)] },
  ],
  staticMappings: [
    {
      routingDomainId: idOf(2),
      protocol: 'TCP',
      externalIpAddress: OWN,
      externalPort: 8080,
      internalIpAddress: host(10),
      internalPort: 80,
    },
    {
      routingDomainId: idOf(3),
      protocol: 'TCP',
      externalIpAddress: external(11),
      externalPort: 9010,
      internalIpAddress: host(10),
      internalPort: 80,
    },
    {
      routingDomainId: idOf(2),
      protocol: 'UDP',
      externalIpAddress: OWN,
      externalPort: 5353,
      internalIpAddress: host(11),
      internalPort: 53,
      remoteExternalIpAddressPrefix: '65.10.0.0/16' as Prefix,
    },
  ],
  oneToOneMappings: [2, 3].map((slot) => ({
    routingDomainId: idOf(slot),
    externalIpAddress: external(18 + slot),
    internalIpAddress: host(30),
  })),
  policy: [
    {
      routingDomainId: idOf(2),
      destinationPrefix: '66.0.0.0/8' as Prefix,
      action: 'Translate',
      externalIpAddresses: [external(11)],
    },
    { destinationPrefix: '192.0.2.0/24' as Prefix, action: 'Drop', externalIpAddresses: [] },
    {
      routingDomainId: idOf(3),
      destinationPrefix: '67.0.0.0/8' as Prefix,
      action: 'Translate',
      externalIpAddresses: [],
    },
  ],
  quotas: [
    { portBlocks: 2, sessions: 1000 },
    { routingDomainId: idOf(4), portBlocks: 1, sessions: 12, sessionsPerHost: 6 },
  ],
  loadBalancingRules: [
    rule(2, 'Web', 'TCP', [OWN, 443], 8443, [host(10), host(11)]),
    rule(3, 'Names', 'UDP', [external(11), 53], 8053, [host(10), host(11), host(12)], 'SourceIP'),
    rule(4, 'Nobody', 'TCP', [external(12), 443], 8443, [host(12)]),
  ],
};

const STRICT: NetNat = {
  ...SHARED,
  name: 'Strict',
  internalRoutingDomainId: idOf(5),
  tcpFilteringBehavior: 'AddressAndPortDependentFiltering',
  udpFilteringBehavior: 'AddressDependentFiltering',
  udpInboundRefresh: true,
  portQuarantineSeconds: 0,
  externalAddresses: [{ ipAddress: external(13), portStart: 2000, portEnd: 2127, routingDomainIds: [] }],
  staticMappings: [],
  oneToOneMappings: [],
  policy: [],
  quotas: [{ portsPerHost: 20 }],
  loadBalancingRules: [],
};

const NETADAPTERS: readonly NetAdapter[] = [
  {
    interfaceAlias: 'If2',
    device: 'eth0',
    role: 'External',
    address: { address: OWN, prefixLength: 24 },
    defaultGateway: external(1),
  },
];

export const NAT_TENANTS: readonly NatTenant[] = SLOTS.map((slot) => ({
  routingDomainId: idOf(slot),
  slot,
  device: deviceOf(slot),
}));

export const natInput = (seed: number): NatInput => ({
  netNats: [SHARED, STRICT],
  netAdapters: NETADAPTERS,
  tenants: NAT_TENANTS,
  seed,
  waiting: 0,
  former: { pools: [], services: new Map(), dips: new Map() },
  index: () => NIC,
  healthy: (r) => r.name !== 'Nobody',
});
