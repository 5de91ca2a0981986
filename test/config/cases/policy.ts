/** Records and virtual subnets that contradict each other: each rule of the policy store at its place in the file (R-POL-2). */
import { type Case, change, FABRIKAM, brokenGateway as f, HOST1 } from '../examples.ts';

const h = (from: string, to: string) => change(HOST1, from, to);
/** Beside what is there, in the last routing domain. */
const gatewayRecord = (record: string) =>
  f(
    '    NetRoute:\n      - { DestinationPrefix: 10.0.0.0/24, NextHop: 10.0.254.1, InterfaceAlias: IfWi1',
    `      - { ${record} }\n    NetRoute:\n      - { DestinationPrefix: 10.0.0.0/24, NextHop: 10.0.254.1, InterfaceAlias: IfWi1`,
  );
const gatewayRoute = (route: string) =>
  f('    NetVirtualizationLookupRecord:', `      - { ${route} }\n    NetVirtualizationLookupRecord:`);
const hostRecord = (...records: string[]) => `${HOST1}${records.map((r) => `      - { ${r} }\n`).join('')}`;
const hostSubnet = (subnets: string, from = '', to = '') =>
  h(
    '    NetVirtualizationCustomerRoute:',
    `    VirtualSubnet: [${subnets}]\n    NetVirtualizationCustomerRoute:`,
  ).replace(from, to);
const gatewaySubnet = (subnets: string) =>
  f('    NetVirtualizationCustomerRoute:', `    VirtualSubnet: [${subnets}]\n    NetVirtualizationCustomerRoute:`);
const bothPlain = () => FABRIKAM.replaceAll('Rule: TranslationMethodEncap', 'Rule: TranslationMethodNone');
const WILDCARD =
  'Type: GatewayWildcard, CustomerAddress: 0.0.0.0, MACAddress: "02484e001772", VirtualSubnetID: 6002, ProviderAddress: 192.168.4.33';

export const GATEWAY_POLICY: readonly Case[] = [
  { what: 'a wildcard of the gateway itself is right', text: gatewayRecord(WILDCARD), errors: [] },
  {
    what: "a wildcard under another MAC than the gateway's",
    text: gatewayRecord(WILDCARD.replace('02484e001772', '020000000009')),
    errors: [
      "45:105: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[1].VirtualSubnetID: virtual subnet 6002 belongs to the gateway's IfWi1 alone: move the adapter to another virtual subnet",
    ],
  },
  {
    what: 'a route to another next hop in the virtual subnet of the gateway',
    text: gatewayRoute('VirtualSubnetID: 6002, DestinationPrefix: 10.9.0.0/16, NextHop: 10.0.254.9'),
    errors: [
      '43:75: RoutingDomain[Woodgrove].NetVirtualizationCustomerRoute[3].NextHop: 10.0.254.9 is no address of IfWi1, which is alone in virtual subnet 6002: name the address of the internal interface',
    ],
  },
  {
    what: 'two gateways of a VM network',
    text: gatewayRoute('VirtualSubnetID: 6001, DestinationPrefix: 0.0.0.0/0, NextHop: 10.0.0.9, Metric: 300'),
    errors: [
      '43:73: RoutingDomain[Woodgrove].NetVirtualizationCustomerRoute[3].NextHop: the VM network already has the gateway address 10.0.254.2: name that one, or a more specific prefix',
    ],
  },
  {
    what: 'learning where nobody but the gateway is',
    text: gatewaySubnet('{ VirtualSubnetID: 6002, DynamicLearning: true }'),
    errors: [
      "39:40: RoutingDomain[Woodgrove].VirtualSubnet[0].VirtualSubnetID: virtual subnet 6002 belongs to the gateway's IfWi1 alone, nobody is there to learn from or to replicate to: name the virtual subnet of the VMs",
    ],
  },
  {
    what: 'a machine that cannot be reached',
    text: gatewayRecord(
      'CustomerAddress: 10.0.0.11, MACAddress: "020000000009", VirtualSubnetID: 6001, ProviderAddress: 172.16.0.5',
    ),
    errors: [
      '45:107: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[1].ProviderAddress: 172.16.0.5 is on no prefix of a provider address, and no provider route leads to it: correct the address, or add a NetVirtualizationProviderRoute',
    ],
  },
  {
    what: 'a machine behind a provider route is right',
    text: gatewayRecord(
      'CustomerAddress: 10.0.0.11, MACAddress: "020000000009", VirtualSubnetID: 6001, ProviderAddress: 172.16.0.5',
    ).replace(
      '\nRoutingDomain:',
      '\nNetVirtualizationProviderRoute:\n  - { InterfaceAlias: NIC1, DestinationPrefix: 172.16.0.0/16, NextHop: 192.168.4.1 }\n\nRoutingDomain:',
    ),
    errors: [],
  },
  {
    what: 'a place without address that is not encapsulated',
    text: gatewayRecord(
      'Type: L2Only, Rule: TranslationMethodNone, CustomerAddress: 0.0.0.0, MACAddress: "020000000009", VirtualSubnetID: 6001, ProviderAddress: 192.168.4.22',
    ),
    errors: [
      '45:31: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[1].Rule: a record of type L2Only cannot have the rule TranslationMethodNone: write TranslationMethodEncap, or the type Static with the address of the machine',
    ],
  },
  {
    what: 'a machine of two tenants that is not encapsulated',
    text: bothPlain(),
    errors: [
      '44:28: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].CustomerAddress: 10.0.0.10 is already reached without encapsulation by routing domain Contoso: give the machine to one routing domain; encapsulate for the others',
    ],
  },
  {
    what: 'a MAC address of two machines',
    text: gatewayRecord(
      'CustomerAddress: 10.0.0.11, MACAddress: "202020202205", VirtualSubnetID: 6001, ProviderAddress: 192.168.4.22',
    ),
    errors: [
      '45:51: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[1].MACAddress: MAC 20:20:20:20:22:05 is already used by lookup record 10.0.0.10 in this VM network: give each adapter a MAC of its own',
    ],
  },
];

export const HOST_POLICY: readonly Case[] = [
  {
    what: "the gateway's wildcard in place of its record is right",
    text: h(
      'CustomerAddress: 10.0.254.2, MACAddress: "02484e001772"',
      'Type: GatewayWildcard, CustomerAddress: 0.0.0.0, MACAddress: "02484e001772"',
    ),
    errors: [],
  },
  {
    what: 'two wildcards of a virtual subnet',
    text: hostRecord(WILDCARD, WILDCARD),
    errors: [
      '35:51: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[3].CustomerAddress: virtual subnet 6002 already has a GatewayWildcard record: remove one of the two',
    ],
  },
  {
    what: 'wildcards of both families are right',
    text: hostRecord(WILDCARD, WILDCARD.replace('0.0.0.0', '"::"')),
    errors: [],
  },
  {
    what: 'a wildcard of a single address',
    text: hostRecord(WILDCARD.replace('0.0.0.0', '10.0.254.3')),
    errors: [
      '34:51: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[2].CustomerAddress: a GatewayWildcard record stands for every address, and 10.0.254.3 is a single one: write 0.0.0.0 or ::, or the type Static',
    ],
  },
  {
    what: 'a virtual subnet twice',
    text: hostSubnet('{ VirtualSubnetID: 6001 }, { VirtualSubnetID: 6001 }'),
    errors: [
      '27:67: RoutingDomain[Woodgrove].VirtualSubnet[1].VirtualSubnetID: virtual subnet 6001 is already described: describe each virtual subnet once',
    ],
  },
  {
    what: 'a virtual subnet of another tenant',
    text: hostSubnet('{ VirtualSubnetID: 5001 }'),
    errors: [
      '27:40: RoutingDomain[Woodgrove].VirtualSubnet[0].VirtualSubnetID: virtual subnet 5001 already belongs to routing domain Contoso (line 14): use a virtual subnet id that no other routing domain has',
    ],
  },
  {
    what: 'a VM without address in a virtual subnet that does not learn',
    text: hostSubnet('{ VirtualSubnetID: 6001 }', '"202020202205", IPAddress: 10.0.0.10', '"202020202205"'),
    errors: [
      '26:9: RoutingDomain[Woodgrove].VMNetworkAdapter[woodgrove-vm].IPAddress: port woodgrove-vm has no address, and virtual subnet 6001 does not learn any: write its addresses, or let the virtual subnet learn',
    ],
  },
  {
    what: 'a VM without address in a virtual subnet that learns is right',
    text: hostSubnet(
      '{ VirtualSubnetID: 6001, DynamicLearning: true }',
      '"202020202205", IPAddress: 10.0.0.10',
      '"202020202205"',
    ),
    errors: [],
  },
  {
    what: 'values of a virtual subnet out of range',
    text: hostSubnet('{ VirtualSubnetID: 6001, DynamicLearning: yes, AgeingTimeSeconds: 1, DSCP: 64 }'),
    errors: [
      '27:63: RoutingDomain[Woodgrove].VirtualSubnet[0].DynamicLearning: "yes" is not true or false: write true or false',
      '27:87: RoutingDomain[Woodgrove].VirtualSubnet[0].AgeingTimeSeconds: "1" is not a whole number from 10 to 86400: choose a number of this range',
      '27:96: RoutingDomain[Woodgrove].VirtualSubnet[0].DSCP: "64" is not Copy, Uniform or a number from 0 to 63: write Copy, Uniform or the number of the code point, for instance 46',
    ],
  },
  {
    what: 'a limit that is no number',
    text: h(
      '    NetVirtualizationCustomerRoute:',
      '    MaximumLearnedRecords: many\n    NetVirtualizationCustomerRoute:',
    ),
    errors: [
      '27:28: RoutingDomain[Woodgrove].MaximumLearnedRecords: "many" is not a whole number from 0 to 1000000: choose a number of this range',
    ],
  },
];
