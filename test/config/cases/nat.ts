/** NetNat sections that contradict themselves, each other, or the rest of the file. */
import { type Case, change, FABRIKAM } from '../examples.ts';

const EXTERNAL = '      - { IPAddress: 131.107.10.10, PortStart: 9000, PortEnd: 49151 }';
const STATIC = FABRIKAM.split('\n').find((l) => l.includes('ExternalPort: 8080'))!;

/** With one text of the NetNat section replaced. */
const n = (from: string, to: string) => change(FABRIKAM, from, to);
/** With lines added at the end: line 71 is the first of them. */
const add = (...lines: readonly string[]) => `${FABRIKAM}${lines.join('\n')}\n`;
const external = (...items: readonly string[]) =>
  n(EXTERNAL, [EXTERNAL, ...items.map((i) => `      - { ${i} }`)].join('\n'));

const oneToOne = (external: string, internal: string, tenant = 'Contoso') =>
  `      - { RoutingDomain: ${tenant}, ExternalIPAddress: ${external}, InternalIPAddress: ${internal} }`;
const service = (name: string, port: number, more = '') => [
  `      - Name: ${name}`,
  '        RoutingDomain: Contoso',
  '        Protocol: TCP',
  '        FrontendIPAddress: 131.107.10.10',
  `        FrontendPort: ${port}`,
  `        DIP: [{ IPAddress: 10.0.0.10 }, { IPAddress: 10.0.0.11${more} }]`,
];
const second = (...keys: readonly string[]) => [
  '  - Name: Second',
  '    ExternalIPInterfaceAddressPrefix: 131.107.10.0/24',
  ...keys.map((k) => `    ${k}`),
];

export const NAT: readonly Case[] = [
  {
    what: 'an instance twice by name, and for every tenant',
    text: add(...second().with(0, '  - Name: AllTenants')),
    errors: [
      '69:5: NetNat[AllTenants]: the NetNat of every tenant is already there in line 63: put the two together, or name another tenant',
      '69:11: NetNat[AllTenants].Name: the NetNat AllTenants is already there in line 63: rename one of the two',
    ],
  },
  {
    what: 'a tenant with two instances, by name and by id',
    text: add(
      ...second('RoutingDomain: Contoso'),
      ...second('InternalRoutingDomainId: "{11111111-2222-3333-4444-000000000001}"').with(0, '  - Name: Third'),
    ),
    errors: [
      '68:26: NetNat[AllTenants].NetNatStaticMapping[0].RoutingDomain: Contoso uses the NetNat Second, not this one: move this to the instance of the tenant',
      '74:30: NetNat[Third].InternalRoutingDomainId: the NetNat of Contoso is already there in line 71: put the two together, or name another tenant',
    ],
  },
  {
    what: 'a tenant named twice in one place',
    text: add(...second('RoutingDomain: Contoso', 'InternalRoutingDomainId: "{11111111-2222-3333-4444-000000000002}"')),
    errors: [
      '68:26: NetNat[AllTenants].NetNatStaticMapping[0].RoutingDomain: Contoso uses the NetNat Second, not this one: move this to the instance of the tenant',
      '72:30: NetNat[Second].InternalRoutingDomainId: the tenant is named twice: keep RoutingDomain or InternalRoutingDomainId',
    ],
  },
  {
    what: 'tenants that the file does not define',
    text: n('RoutingDomain: Contoso, Protocol', 'RoutingDomain: Contosso, Protocol').concat(
      ...second('InternalRoutingDomainId: "{11111111-2222-3333-4444-000000000009}"').map((l) => `${l}\n`),
    ),
    errors: [
      '68:26: NetNat[AllTenants].NetNatStaticMapping[0].RoutingDomain: there is no RoutingDomain "Contosso": did you mean Contoso?',
      '71:30: NetNat[Second].InternalRoutingDomainId: there is no RoutingDomainID "{11111111-2222-3333-4444-000000000009}": did you mean {11111111-2222-3333-4444-000000000001}?',
    ],
  },
  {
    what: 'a static mapping of no tenant',
    text: n('RoutingDomain: Contoso, Protocol', 'Protocol'),
    errors: [
      '68:9: NetNat[AllTenants].NetNatStaticMapping[0].RoutingDomain: the instance is for every tenant, so this must name one: add RoutingDomain',
    ],
  },
  {
    what: 'an instance whose prefix is of no external adapter',
    text: n('ExternalIPInterfaceAddressPrefix: 131.107.10.0/24', 'ExternalIPInterfaceAddressPrefix: 131.107.11.0/24'),
    errors: [
      '64:39: NetNat[AllTenants].ExternalIPInterfaceAddressPrefix: 131.107.11.0/24 holds the IPAddress of no NetAdapter with the role External: write the prefix of such an adapter, or give the adapter its IPAddress',
      '66:22: NetNat[AllTenants].NetNatExternalAddress[0].IPAddress: 131.107.10.10 does not lie in 131.107.11.0/24, the ExternalIPInterfaceAddressPrefix: choose an address of it',
      '68:69: NetNat[AllTenants].NetNatStaticMapping[0].ExternalIPAddress: 131.107.10.10 does not lie in 131.107.11.0/24, the ExternalIPInterfaceAddressPrefix: choose an address of it',
    ],
  },
  {
    what: 'external addresses that are none',
    text: external('IPAddress: 131.107.10.1', 'IPAddress: 131.107.10.0', 'IPAddress: "2001:db8::1"'),
    errors: [
      '67:22: NetNat[AllTenants].NetNatExternalAddress[1].IPAddress: 131.107.10.1 is the DefaultGateway: choose an address that is routed to this machine',
      '68:22: NetNat[AllTenants].NetNatExternalAddress[2].IPAddress: 131.107.10.0 is the network 131.107.10.0/24 itself: choose the address of a host in it',
      '69:22: NetNat[AllTenants].NetNatExternalAddress[3].IPAddress: "2001:db8::1" is not an IPv4 unicast address: write an IPv4 address',
    ],
  },
  {
    what: 'port ranges that are empty, too low, or overlap',
    text: external(
      'IPAddress: 131.107.10.11, PortStart: 5000, PortEnd: 5000',
      'IPAddress: 131.107.10.12, PortStart: 80',
      'IPAddress: 131.107.10.10, PortStart: 49151',
    ),
    errors: [
      '67:63: NetNat[AllTenants].NetNatExternalAddress[1].PortEnd: 5000 is not above PortStart, 5000: write a higher port',
      '68:48: NetNat[AllTenants].NetNatExternalAddress[2].PortStart: "80" is not a whole number from 1024 to 65534: choose a number of this range',
      '69:22: NetNat[AllTenants].NetNatExternalAddress[3].IPAddress: ports 49151 to 65535 of 131.107.10.10 overlap with 9000 to 49151 in line 66: give each a port range of its own',
    ],
  },
  {
    what: 'the same ports of an address in two instances',
    text: add(
      ...second(
        'RoutingDomain: Woodgrove',
        'NetNatExternalAddress:',
        '  - { IPAddress: 131.107.10.10, PortEnd: 9000 }',
      ),
    ),
    errors: [
      '73:22: NetNat[Second].NetNatExternalAddress[0].IPAddress: ports 1024 to 9000 of 131.107.10.10 overlap with 9000 to 49151 in line 66: give each a port range of its own',
    ],
  },
  {
    what: 'an external address for tenants that do not use the instance',
    text: add(
      ...second(
        'RoutingDomain: Woodgrove',
        'NetNatExternalAddress:',
        '  - { IPAddress: 131.107.10.12, RoutingDomain: [Contoso, Nobody] }',
      ),
    ),
    errors: [
      '73:52: NetNat[Second].NetNatExternalAddress[0].RoutingDomain: the instance is for Woodgrove only: move this to the instance of the tenant',
      '73:62: NetNat[Second].NetNatExternalAddress[0].RoutingDomain[1]: there is no RoutingDomain "Nobody": there is Contoso, Woodgrove',
    ],
  },
  {
    what: 'a static mapping twice, and on a port of a VIP',
    text: add(STATIC.replace('10.0.0.10', '10.0.0.11'), '    LoadBalancingRule:', ...service('Web', 8080)),
    errors: [
      '69:98: NetNat[AllTenants].NetNatStaticMapping[1].ExternalPort: the mapping of TCP 131.107.10.10:8080 is already there in line 68: give each mapping and VIP a port of its own',
      '75:23: NetNat[AllTenants].LoadBalancingRule[Web].FrontendPort: the mapping of TCP 131.107.10.10:8080 is already there in line 68: give each mapping and VIP a port of its own',
    ],
  },
  {
    what: "the gateway's own ports",
    text: n(
      'Protocol: TCP, ExternalIPAddress: 131.107.10.10, ExternalPort: 8080',
      'Protocol: UDP, ExternalIPAddress: 131.107.10.10, ExternalPort: 4500',
    ),
    errors: [
      '68:98: NetNat[AllTenants].NetNatStaticMapping[0].ExternalPort: UDP port 4500 of 131.107.10.10 belongs to the gateway itself (IKE and ESP behind NAT): choose another port, or another address',
    ],
  },
  {
    what: 'inside addresses that are not inside',
    text: n('InternalIPAddress: 10.0.0.10', 'InternalIPAddress: 10.0.254.2').concat(
      '    NetNatOneToOneMapping:\n',
      `${oneToOne('131.107.10.20', '131.107.10.30')}\n`,
    ),
    errors: [
      '68:123: NetNat[AllTenants].NetNatStaticMapping[0].InternalIPAddress: 10.0.254.2 is the address of an internal interface of Contoso: write the address of a host behind it',
      '70:88: NetNat[AllTenants].NetNatOneToOneMapping[0].InternalIPAddress: 131.107.10.30 lies in 131.107.10.0/24, which is outside: write the address that the host has in the VM network',
    ],
  },
  {
    what: 'one-to-one mappings that share an address',
    text: add(
      '    NetNatOneToOneMapping:',
      oneToOne('131.107.10.20', '10.0.0.20'),
      oneToOne('131.107.10.20', '10.0.0.21'),
      oneToOne('131.107.10.21', '10.0.0.20'),
      oneToOne('131.107.10.22', '10.0.0.20', 'Woodgrove'),
      oneToOne('131.107.10.10', '10.0.0.23'),
      oneToOne('131.107.10.30', '10.0.0.24'),
      '    NetNatPolicy: []',
    ).replace(EXTERNAL, EXTERNAL.replace('131.107.10.10', '131.107.10.30')),
    errors: [
      '71:54: NetNat[AllTenants].NetNatOneToOneMapping[1].ExternalIPAddress: a one-to-one mapping of 131.107.10.20 is already there in line 70: give each host an external address of its own',
      '72:88: NetNat[AllTenants].NetNatOneToOneMapping[2].InternalIPAddress: a one-to-one mapping of 10.0.0.20 of Contoso is already there in line 70: a host has one: remove one of the two',
      "74:54: NetNat[AllTenants].NetNatOneToOneMapping[4].ExternalIPAddress: 131.107.10.10 is the gateway's own: choose an address that is used for nothing else",
      '75:54: NetNat[AllTenants].NetNatOneToOneMapping[5].ExternalIPAddress: 131.107.10.30 is used in line 66 too: choose an address that is used for nothing else',
    ],
  },
  {
    what: 'policy with addresses that do not fit',
    text: external('IPAddress: 131.107.10.11, RoutingDomain: Woodgrove').concat(
      '    NetNatPolicy:\n',
      '      - { DestinationPrefix: 65.10.0.0/16, ExternalIPAddress: 131.107.10.12 }\n',
      '      - { RoutingDomain: Contoso, DestinationPrefix: 65.10.0.0/16, ExternalIPAddress: 131.107.10.11 }\n',
      '      - { DestinationPrefix: 0.0.0.0/0, Action: Drop, ExternalIPAddress: 131.107.10.10 }\n',
    ),
    errors: [
      '71:63: NetNat[AllTenants].NetNatPolicy[0].ExternalIPAddress[0]: there is no NetNatExternalAddress "131.107.10.12": did you mean 131.107.10.10?',
      '72:87: NetNat[AllTenants].NetNatPolicy[1].ExternalIPAddress[0]: 131.107.10.11 is not for Contoso: add Contoso to the RoutingDomain of the NetNatExternalAddress',
      '73:74: NetNat[AllTenants].NetNatPolicy[2].ExternalIPAddress[0]: a rule with the action Drop chooses no address: remove ExternalIPAddress, or write Action: Translate',
    ],
  },
  {
    what: 'too many rules for one tenant',
    text: add(
      '    NetNatPolicy:',
      ...Array.from({ length: 9 }, (_, i) => `      - { DestinationPrefix: 65.${i}.0.0/16 }`),
      ...Array.from({ length: 8 }, (_, i) => `      - { RoutingDomain: Contoso, DestinationPrefix: 66.${i}.0.0/16 }`),
    ),
    errors: ['70:7: NetNat[AllTenants].NetNatPolicy: 17 rules for one tenant are more than 14: put prefixes together'],
  },
  {
    what: 'rules that choose from too many addresses, or in too many ways',
    text: external(...Array.from({ length: 9 }, (_, i) => `IPAddress: 131.107.10.${100 + i}`)).concat(
      '    NetNatPolicy:\n',
      ...Array.from(
        { length: 8 },
        (_, i) => `      - { DestinationPrefix: 65.${i}.0.0/16, ExternalIPAddress: 131.107.10.${100 + i} }\n`,
      ),
      `      - { DestinationPrefix: 66.0.0.0/8, ExternalIPAddress: [${Array.from({ length: 9 }, (_, i) => `131.107.10.${100 + i}`).join(', ')}] }\n`,
    ),
    errors: [
      '79:7: NetNat[AllTenants].NetNatPolicy: 9 different choices of addresses for one tenant are more than 7: let more rules choose from the same addresses',
      '87:61: NetNat[AllTenants].NetNatPolicy[8].ExternalIPAddress: 9 addresses are more than 8: choose from fewer',
    ],
  },
  {
    what: 'limits twice for a tenant',
    text: add(
      '    NetNatQuota:',
      '      - { Sessions: 1000 }',
      '      - { RoutingDomain: Contoso, Sessions: 1000 }',
      '      - { RoutingDomain: Contoso, PortBlocks: 129 }',
      '      - { RoutingDomain: Nobody }',
      '      - { PortBlocks: 2 }',
    ),
    errors: [
      '72:26: NetNat[AllTenants].NetNatQuota[2].RoutingDomain: the NetNatQuota of Contoso is already there in line 71: keep one of the two',
      '72:47: NetNat[AllTenants].NetNatQuota[2].PortBlocks: "129" is not a whole number from 1 to 128: choose a number of this range',
      '73:26: NetNat[AllTenants].NetNatQuota[3].RoutingDomain: there is no RoutingDomain "Nobody": there is Contoso, Woodgrove',
      '74:9: NetNat[AllTenants].NetNatQuota[4]: the NetNatQuota of every tenant is already there in line 70: keep one of the two',
    ],
  },
  {
    what: 'more tenants than port blocks',
    text: n('PortStart: 9000, PortEnd: 49151', 'PortStart: 9000, PortEnd: 9100'),
    errors: [
      '66:7: NetNat[AllTenants].NetNatExternalAddress: 2 tenants are more than the port blocks: 1 of 512: add an external address, or lower PortBlockSize',
    ],
  },
  {
    what: 'more port blocks than the data plane has room for',
    text: external(...Array.from({ length: 17 }, (_, i) => `IPAddress: 131.107.10.${100 + i}`)).replace(
      'NetNatExternalAddress:',
      'PortBlockSize: 64\n    NetNatExternalAddress:',
    ),
    errors: ['63:3: NetNat: 17764 port blocks are more than 16384: raise PortBlockSize'],
  },
  {
    what: 'services with a name or DIP twice, and a probe that asks for nothing',
    text: add(
      '    LoadBalancingRule:',
      ...service('Web', 80).with(5, '        DIP: [{ IPAddress: 10.0.0.10 }, { IPAddress: 10.0.0.10, Weight: 2 }]'),
      ...service('Web', 443),
      '        Probe: { Protocol: HTTP, RequestPath: health }',
    ),
    errors: [
      '75:54: NetNat[AllTenants].LoadBalancingRule[Web].DIP[1].IPAddress: the DIP 10.0.0.10 is already there in line 75: keep one; Weight gives it a larger share',
      '76:15: NetNat[AllTenants].LoadBalancingRule[Web].Name: the LoadBalancingRule Web is already there in line 70: rename one of the two',
      '82:47: NetNat[AllTenants].LoadBalancingRule[Web].Probe.RequestPath: "health" is not the path of a request: begin it with /, without spaces, at most 256 characters',
    ],
  },
];
