/** Keys and values that contradict each other. */
import { type Case, brokenGateway as f, SFO_SECRET } from '../examples.ts';

export const CHECKS: readonly Case[] = [
  {
    what: 'a tenant name twice',
    text: f('Name: Woodgrove', 'Name: Contoso'),
    errors: [
      '34:11: RoutingDomain[Contoso].Name: the routing domain Contoso is already there in line 13: rename one of the two',
    ],
  },
  {
    what: 'a tenant id twice, in other case',
    text: f('000000000002}', '000000000001}'),
    errors: [
      '35:22: RoutingDomain[Woodgrove].RoutingDomainID: the id {11111111-2222-3333-4444-000000000001} is already there in line 14: give each routing domain an id of its own',
    ],
  },
  {
    what: 'an adapter twice',
    text: f('InterfaceAlias: NIC1, Device: eth1', 'InterfaceAlias: If2, Device: eth1'),
    errors: [
      '7:23: NetAdapter[If2].InterfaceAlias: the adapter If2 is already there in line 6: rename one of the two',
      '10:23: NetVirtualizationProviderAddress[0].InterfaceAlias: there is no NetAdapter "NIC1": there is If2',
    ],
  },
  {
    what: 'a device twice',
    text: f('Device: eth1', 'Device: eth0'),
    errors: ['7:37: NetAdapter[NIC1].Device: the device eth0 is already there in line 6: describe each device once'],
  },
  {
    what: 'an interface name twice in a compartment',
    text: f('Name: IfWe2', 'Name: IfWi1'),
    errors: [
      '54:15: RoutingDomain[Woodgrove].VpnS2SInterface[IfWi1].Name: an interface IfWi1 is already there in line 38: rename one of the two',
    ],
  },
  {
    what: 'a tunnel name twice on the gateway',
    text: f('Name: IfWe2', 'Name: IfCe1'),
    errors: [
      '54:15: RoutingDomain[Woodgrove].VpnS2SInterface[IfCe1].Name: a VpnS2SInterface IfCe1 is already there in line 27: names of tunnels are unique on the gateway: rename one of the two',
    ],
  },
  {
    what: 'a tunnel with the name of a device',
    text: f('Name: IfWe2', 'Name: eth0'),
    errors: [
      '54:15: RoutingDomain[Woodgrove].VpnS2SInterface[eth0].Name: eth0 is the device of a NetAdapter: rename the tunnel',
    ],
  },
  {
    what: 'a virtual subnet of two tenants',
    text: f('IsolationID: 6002', 'IsolationID: 5002'),
    errors: [
      '38:46: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IsolationID: virtual subnet 5002 already belongs to routing domain Contoso (line 17): use a virtual subnet id that no other routing domain has',
    ],
  },
  {
    what: 'an address twice in a compartment',
    text: f('IPAddress: 10.0.254.2/24 }', 'IPAddress: [10.0.254.2/24, 10.0.254.2/24] }'),
    errors: [
      '38:79: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IPAddress[1]: the address 10.0.254.2 is already there in line 38: give each interface of the routing domain an address of its own',
    ],
  },
  {
    what: 'an address twice in the default compartment',
    text: f('ProviderAddress: 192.168.4.33', 'ProviderAddress: 131.107.10.10'),
    errors: [
      '10:46: NetVirtualizationProviderAddress[0].ProviderAddress: the address 131.107.10.10 is already there in line 6: give each adapter and provider address one of its own',
    ],
  },
  {
    what: 'a static route twice',
    text: f(
      'InterfaceAlias: IfWi1, RouteMetric: 100 }',
      'InterfaceAlias: IfWi1, RouteMetric: 100 }\n      - { DestinationPrefix: 10.0.0.9/24, InterfaceAlias: IfWi1, RouteMetric: 100 }',
    ),
    errors: [
      '47:30: RoutingDomain[Woodgrove].NetRoute[1].DestinationPrefix: the route 10.0.0.0/24 with metric 100 is already there in line 46: remove one of the two, or give it another metric',
    ],
  },
  {
    what: 'a prefix twice on a tunnel',
    text: f('["10.2.0.0/24:100"]', '["10.2.0.0/24:100", "10.2.0.0/24:200"]'),
    errors: [
      '59:41: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].IPv4Subnet[1]: the prefix 10.2.0.0/24 is already there in line 59: keep one of the two',
    ],
  },
  {
    what: 'two tunnels to one destination',
    text: f('60.10.10.100', '59.10.10.10'),
    errors: [
      '56:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Destination: 59.10.10.10 is already the Destination of IfCe1 (line 29); callers with a pre-shared key are told apart by it: change one of the two, or set AdminStatus: false on it',
    ],
  },
  {
    what: 'a tunnel to ourselves',
    text: f('60.10.10.100', '131.107.10.10'),
    errors: [
      '56:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Destination: 131.107.10.10 is an address of this gateway: write the public address of the site',
    ],
  },
  {
    what: 'a source address that is not ours',
    text: f('Persistent: true', 'SourceIpAddress: 131.107.10.11'),
    errors: [
      '60:26: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SourceIpAddress: 131.107.10.11 is the IPAddress of no NetAdapter with the role External: write one of those addresses, or remove the key',
    ],
  },
  {
    what: 'a tunnel without an external address of its family',
    text: f('60.10.10.100', '2001:db8::60'),
    errors: [
      '56:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Destination: no NetAdapter with the role External has an IPv6 IPAddress to reach 2001:db8::60 from: give the external adapter its address',
    ],
  },
  {
    what: 'tunnels of a routing domain that only routes',
    text: f('Type: All', 'Type: RoutingOnly'),
    errors: [
      '48:7: RoutingDomain[Woodgrove].VpnS2SInterface: a routing domain of type RoutingOnly has no tunnels: write Type: All, or remove them',
    ],
  },
  {
    what: 'a provider address on an external adapter',
    text: f('InterfaceAlias: NIC1, ProviderAddress', 'InterfaceAlias: If2, ProviderAddress'),
    errors: [
      '10:23: NetVirtualizationProviderAddress[0].InterfaceAlias: the adapter If2 has the role External, not Provider: choose an adapter with the role Provider',
    ],
  },
  {
    what: 'two default gateways',
    text: f('Role: Provider }', 'Role: Provider, IPAddress: 10.9.0.2/24, DefaultGateway: 10.9.0.1 }'),
    errors: ['7:99: NetAdapter[NIC1].DefaultGateway: there is already a DefaultGateway for IPv4 in line 6: keep one'],
  },
  {
    what: 'a route of two families',
    text: f(
      'DestinationPrefix: 10.0.0.0/24, NextHop: 10.0.254.1',
      'DestinationPrefix: "fd00::/64", NextHop: 10.0.254.1',
    ),
    errors: [
      '46:52: RoutingDomain[Woodgrove].NetRoute[0].NextHop: 10.0.254.1 and fd00::/64 are of different families: use IPv4 with IPv4, IPv6 with IPv6',
    ],
  },
  {
    what: 'a next hop that is ourselves',
    text: f('NextHop: 10.0.254.1', 'NextHop: 10.0.254.2'),
    errors: [
      '46:52: RoutingDomain[Woodgrove].NetRoute[0].NextHop: 10.0.254.2 is the address of IfWi1 itself: choose the address of a neighbour',
    ],
  },
  {
    what: 'an adapter that does not exist',
    text: f('InterfaceAlias: NIC1, ProviderAddress', 'InterfaceAlias: NCI1, ProviderAddress'),
    errors: [
      '10:23: NetVirtualizationProviderAddress[0].InterfaceAlias: there is no NetAdapter "NCI1": did you mean NIC1?',
    ],
  },
  {
    what: 'an interface that does not exist',
    text: f('InterfaceAlias: IfWi1, RouteMetric', 'InterfaceAlias: IfCi1, RouteMetric'),
    errors: [
      '46:80: RoutingDomain[Woodgrove].NetRoute[0].InterfaceAlias: there is no interface "IfCi1": did you mean IfWi1?',
    ],
  },
  {
    what: 'a next hop that cannot be reached',
    text: f('NextHop: 10.0.254.1', 'NextHop: 10.0.253.1'),
    errors: [
      '46:52: RoutingDomain[Woodgrove].NetRoute[0].NextHop: 10.0.253.1 is on no prefix of IfWi1 (10.0.254.0/24): choose a next hop on it',
    ],
  },
  {
    what: 'a next hop over a tunnel',
    text: f('InterfaceAlias: IfWi1, RouteMetric', 'InterfaceAlias: IfWe1, RouteMetric'),
    errors: [
      '46:52: RoutingDomain[Woodgrove].NetRoute[0].NextHop: IfWe1 is a tunnel and has no neighbours: write NextHop: 0.0.0.0',
    ],
  },
  {
    what: 'a default gateway on another network',
    text: f('DefaultGateway: 131.107.10.1 ', 'DefaultGateway: 131.107.11.1 '),
    errors: [
      '6:103: NetAdapter[If2].DefaultGateway: 131.107.11.1 is on no prefix of If2 (131.107.10.0/24): choose a next hop on it',
    ],
  },
  {
    what: 'a default gateway without address',
    text: f('Role: Provider }', 'Role: Provider, DefaultGateway: 131.107.11.1 }').replace(
      ', DefaultGateway: 131.107.10.1 ',
      '',
    ),
    errors: ['7:75: NetAdapter[NIC1].DefaultGateway: 131.107.11.1 is on no prefix of NIC1: give NIC1 an address first'],
  },
  {
    what: 'a provider route whose next hop is elsewhere',
    text: f(
      '\nRoutingDomain:',
      '\nNetVirtualizationProviderRoute:\n  - { InterfaceAlias: NIC1, DestinationPrefix: 192.168.5.0/24, NextHop: 192.168.6.1 }\n\nRoutingDomain:',
    ),
    errors: [
      '13:73: NetVirtualizationProviderRoute[0].NextHop: 192.168.6.1 is on no prefix of NIC1 (192.168.4.0/24): choose a next hop on it',
    ],
  },
  {
    what: 'records without a provider address',
    text: f(
      'NetVirtualizationProviderAddress:\n  - { InterfaceAlias: NIC1, ProviderAddress: 192.168.4.33, PrefixLength: 24 }\n',
      '',
    ),
    errors: [
      '3:1: NetVirtualizationProviderAddress: there are lookup records but no provider address to send from: add NetVirtualizationProviderAddress',
    ],
  },
  {
    what: 'an empty secret',
    text: f(SFO_SECRET, '""'),
    errors: [
      '58:23: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret: the secret is empty: choose at least 8 characters; 32 random ones are good',
    ],
  },
  {
    what: 'a short secret',
    text: f(SFO_SECRET, 'hunter2'),
    errors: [
      '58:23: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret: the secret is shorter than 8 characters: choose at least 8 characters; 32 random ones are good',
    ],
  },
  {
    what: 'a secret of two lines',
    text: f(SFO_SECRET, '"hunter2\\nhunter2"'),
    errors: [
      '58:23: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret: the secret holds a line break or zero byte: choose at least 8 characters; 32 random ones are good',
    ],
  },
  {
    what: 'a key that may be a secret',
    text: f(SFO_SECRET, '{ hunter2hunter2: }'),
    errors: [
      '58:23: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret.File: the key is missing: add it',
      '58:25: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SharedSecret: a key here is not known: the keys here are File',
    ],
  },
  {
    what: 'a customer address twice in a VM network',
    text: f(
      'CustomerAddress: 10.0.0.10, MACAddress: "202020202205", VirtualSubnetID: 6001, ProviderAddress: 192.168.4.11,',
      'CustomerAddress: 10.0.254.2, MACAddress: "202020202205", VirtualSubnetID: 6001, ProviderAddress: 192.168.4.11,',
    ),
    errors: [
      '44:28: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].CustomerAddress: 10.0.254.2 is already held by internal interface IfWi1 in this VM network: give each customer address to one adapter; remove one of the two',
    ],
  },
  {
    what: 'the address of the distributed router',
    text: f('CustomerAddress: 10.0.0.10', 'CustomerAddress: 10.0.0.1'),
    errors: [
      '44:28: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].CustomerAddress: 10.0.0.1 is reserved for the distributed router of 10.0.0.0/24: use another address of the subnet; the first one belongs to the router',
    ],
  },
  {
    what: 'an adapter beside the gateway on its virtual subnet',
    text: f('VirtualSubnetID: 6001, ProviderAddress', 'VirtualSubnetID: 6002, ProviderAddress'),
    errors: [
      "44:84: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].VirtualSubnetID: virtual subnet 6002 belongs to the gateway's IfWi1 alone: move the adapter to another virtual subnet",
    ],
  },
  {
    what: 'the MAC address of the distributed router',
    text: f('IPAddress: 10.0.254.2/24 }', 'IPAddress: 10.0.254.2/24, MACAddress: 02484E560001 }'),
    errors: [
      '38:63: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IPAddress[0]: MAC 02:48:4e:56:00:01 belongs to the distributed router, 10.0.254.2 does not: give the adapter its own MAC',
      '38:90: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].MACAddress: MAC 02:48:4e:56:00:01 is reserved, zero or a group address: choose a unicast MAC of the adapter itself',
    ],
  },
  {
    what: 'a customer route of two families',
    text: f('DestinationPrefix: 0.0.0.0/0, NextHop: 10.0.254.2', 'DestinationPrefix: "::/0", NextHop: 10.0.254.2'),
    errors: [
      '42:70: RoutingDomain[Woodgrove].NetVirtualizationCustomerRoute[2].NextHop: 10.0.254.2 and ::/0 are of different families: use IPv4 with IPv4, IPv6 with IPv6',
    ],
  },
  {
    what: 'a provider route of two families',
    text: f(
      'RoutingDomain:\n',
      'NetVirtualizationProviderRoute:\n  - { InterfaceAlias: NIC1, DestinationPrefix: "fd00::/64", NextHop: 192.168.4.1 }\nRoutingDomain:\n',
    ),
    errors: [
      '13:70: NetVirtualizationProviderRoute[0].NextHop: 192.168.4.1 and fd00::/64 are of different families: use IPv4 with IPv4, IPv6 with IPv6',
    ],
  },
  {
    what: 'a record of no address that is not of the type L2Only',
    text: f('CustomerAddress: 10.0.0.10', 'CustomerAddress: 0.0.0.0'),
    errors: [
      '44:28: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].CustomerAddress: 0.0.0.0 is no address of an adapter: write its address, or the type L2Only when it is not known',
    ],
  },
  {
    what: 'the address of the distributed router in IPv6',
    text: f(
      '      - { VirtualSubnetID: 6002, DestinationPrefix: 10.0.254.0/24, NextHop: 0.0.0.0 }',
      '      - { VirtualSubnetID: 6002, DestinationPrefix: 10.0.254.0/24, NextHop: 0.0.0.0 }\n      - { VirtualSubnetID: 6001, DestinationPrefix: "fd00:1::/64", NextHop: "::" }',
    ).replace(/CustomerAddress: 10.0.0.10(?=, MACAddress: "202)/, 'CustomerAddress: "fd00:1::1"'),
    errors: [
      '45:28: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].CustomerAddress: fd00:1::1 is reserved for the distributed router of fd00:1::/64: use another address of the subnet; the first one belongs to the router',
    ],
  },
];
