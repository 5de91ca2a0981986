/** Keys and values that are wrong by themselves. */
import { type Case, brokenGateway as f } from '../examples.ts';

export const VALUES: readonly Case[] = [
  {
    what: 'an unknown key',
    text: f('IPv4Subnet:', 'IPv4Subnets:'),
    errors: [
      '59:9: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].IPv4Subnets: the key "IPv4Subnets" is not known here: did you mean IPv4Subnet?',
    ],
  },
  {
    what: 'an unknown key that resembles nothing',
    text: f('Persistent:', 'Colour:'),
    errors: [
      '60:9: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Colour: the key "Colour" is not known here: the keys here are Name, Protocol, Destination, SourceIpAddress, AdminStatus, AuthenticationMethod, SharedSecret, IPv4Subnet, IPv6Subnet, Persistent, RetryIntervalSeconds, NetworkOutageTimeSeconds, SALifeTimeSeconds, MMSALifeTimeSeconds',
    ],
  },
  {
    what: 'an alias of the cmdlets',
    text: f('Destination: 60', 'RemoteTunnelEndpoint: 60'),
    errors: [
      '56:9: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].RemoteTunnelEndpoint: the key "RemoteTunnelEndpoint" is not known here: did you mean Destination?',
    ],
  },
  {
    what: 'a missing key',
    text: f('        AuthenticationMethod: PSKOnly\n', ''),
    errors: ['54:9: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].AuthenticationMethod: the key is missing: add it'],
  },
  {
    what: 'several missing keys in braces',
    text: f('InterfaceAlias: NIC1, Device: eth1, Role: Provider', 'InterfaceAlias: NIC1'),
    errors: [
      '7:5: NetAdapter[NIC1].Device: the key is missing: add it',
      '7:5: NetAdapter[NIC1].Role: the key is missing: add it',
    ],
  },
  {
    what: 'a key twice',
    text: f('Persistent: true', 'Persistent: true\n        Persistent: false'),
    errors: [
      '61:9: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Persistent: the key is already there in this section: keep one of the two',
    ],
  },
  {
    what: 'a key without value',
    text: f('Persistent: true #', 'Persistent: #'),
    errors: [
      '60:21: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Persistent: the value is missing: write a value, or remove the key',
    ],
  },
  {
    what: 'text where a list of sections is expected',
    text: 'Gateway: G\nRoutingDomain: Contoso\n',
    errors: ['2:16: RoutingDomain: a list was expected, not text: begin each item with `- `'],
  },
  {
    what: 'a section where text is expected: a GUID without quotes',
    text: f('"{11111111-2222-3333-4444-000000000002}"', '{11111111-2222-3333-4444-000000000002}'),
    errors: [
      '35:22: RoutingDomain[Woodgrove].RoutingDomainID: text was expected, not a section of keys: write the value itself; text with braces needs quotes',
    ],
  },
  {
    what: 'an empty list of addresses',
    text: f('IPAddress: 10.0.254.2/24', 'IPAddress: []'),
    errors: [
      '38:63: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IPAddress: the list is empty: write at least one item',
    ],
  },
  {
    what: 'a GUID that is none',
    text: f('000000000002}', '00000000002}'),
    errors: [
      '35:22: RoutingDomain[Woodgrove].RoutingDomainID: "{11111111-2222-3333-4444-00000000002}" is not a GUID in braces: write it as "{11111111-2222-3333-4444-000000000001}", in quotes',
    ],
  },
  {
    what: 'a virtual subnet id out of range',
    text: f('IsolationID: 6002', 'IsolationID: 16777215'),
    errors: [
      '38:46: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IsolationID: "16777215" is not a whole number from 4096 to 16777214: choose a number of this range',
    ],
  },
  {
    what: 'a reserved virtual subnet id',
    text: f('IsolationID: 6002', 'IsolationID: 4095'),
    errors: [
      '38:46: RoutingDomain[Woodgrove].VMNetworkAdapterRoutingDomainMapping[IfWi1].IsolationID: "4095" is not a whole number from 4096 to 16777214: choose a number of this range',
    ],
  },
  {
    what: 'an interface name that is too long',
    text: f('Name: IfWe2', 'Name: IfWoodgroveSanFrancisco'),
    errors: [
      '54:15: RoutingDomain[Woodgrove].VpnS2SInterface[IfWoodgroveSanFrancisco].Name: "IfWoodgroveSanFrancisco" is not an interface name (1 to 15 of A-Z a-z 0-9 _ . -, beginning with a letter or digit): shorten the name and use letters, digits, _ . and - only',
    ],
  },
  {
    what: 'an interface name of the system',
    text: f('Name: IfWe2', 'Name: p2-0'),
    errors: [
      '54:15: RoutingDomain[Woodgrove].VpnS2SInterface[p2-0].Name: "p2-0" is not an interface name (1 to 15 of A-Z a-z 0-9 _ . -, beginning with a letter or digit): choose another name: the system uses "p2-0" itself',
    ],
  },
  {
    what: 'a prefix that does not parse',
    text: f('10.2.0.0/24:100', '10.2.0.0/33:100'),
    errors: [
      '59:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].IPv4Subnet[0]: "10.2.0.0/33:100" is not an IPv4 prefix with metric: write prefix/length:metric, for instance 10.1.0.0/24:100',
    ],
  },
  {
    what: 'a metric out of range',
    text: f('10.2.0.0/24:100', '10.2.0.0/24:70000'),
    errors: [
      '59:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].IPv4Subnet[0]: "10.2.0.0/24:70000" is not an IPv4 prefix with metric: choose a metric from 1 to 65535',
    ],
  },
  {
    what: 'an address that does not parse',
    text: f('59.10.10.100', '59.10.10.300'),
    errors: [
      '50:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe1].Destination: "59.10.10.300" is not an IPv4 or IPv6 unicast address: write an address, not a name',
    ],
  },
  {
    what: 'a name in place of an address',
    text: f('59.10.10.100', 'ny.woodgrove.example'),
    errors: [
      '50:22: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe1].Destination: "ny.woodgrove.example" is not an IPv4 or IPv6 unicast address: write an address, not a name',
    ],
  },
  {
    what: 'a network in place of an address',
    text: f('IPAddress: 131.107.10.10/24', 'IPAddress: 131.107.10.0/24'),
    errors: [
      '6:69: NetAdapter[If2].IPAddress: "131.107.10.0/24" is not an IPv4 or IPv6 host address with length: this is the network itself: write the address of the interface in it',
    ],
  },
  {
    what: 'a group MAC address',
    text: f('"202020202205"', '"212020202205"'),
    errors: [
      '44:51: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].MACAddress: "212020202205" is not a unicast MAC address of 12 hex digits: write 12 hex digits, the second of them even, for instance "101010101105"',
    ],
  },
  {
    what: 'a boolean that is none',
    text: f('Persistent: true', 'Persistent: yes'),
    errors: [
      '60:21: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].Persistent: "yes" is not true or false: write true or false',
    ],
  },
  {
    what: 'a time that the cmdlet does not take',
    text: f('Persistent: true', 'NetworkOutageTimeSeconds: 10'),
    errors: [
      '60:35: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].NetworkOutageTimeSeconds: "10" is not one of 3, 6, 9, 12, 15, 30, 60, 120, 240, 360, 720, 900: choose one of these',
    ],
  },
  {
    what: 'a life time out of range',
    text: f('Persistent: true', 'SALifeTimeSeconds: 60'),
    errors: [
      '60:28: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].SALifeTimeSeconds: "60" is not a whole number from 300 to 17279999: choose a number of this range',
    ],
  },
  {
    what: 'a role that does not exist',
    text: f('Role: Provider', 'Role: Internal'),
    errors: [
      '7:49: NetAdapter[NIC1].Role: "Internal" is not External, Provider or Management: write External, Provider or Management',
    ],
  },
  {
    what: 'a role of a later version',
    text: f('Role: Provider', 'Role: Forwarding'),
    errors: [
      '7:49: NetAdapter[NIC1].Role: "Forwarding" is not served by this version: write External, Provider or Management',
    ],
  },
  {
    what: 'a provider address that is the network',
    text: f('ProviderAddress: 192.168.4.33', 'ProviderAddress: 192.168.4.0'),
    errors: [
      '10:46: NetVirtualizationProviderAddress[0].ProviderAddress: 192.168.4.0 is the network 192.168.4.0/24 itself: choose the address of a host in it',
    ],
  },
  {
    what: 'a key that this version does not serve',
    text: f('Gateway: GW-VM\n', 'Gateway: GW-VM\nNetNatGlobal: {}\n'),
    errors: ['4:1: NetNatGlobal: "NetNatGlobal" is not served by this version: remove the key'],
  },
  {
    what: 'a value that this version does not serve',
    text: f('PSKOnly', 'EAP'),
    errors: [
      '57:31: RoutingDomain[Woodgrove].VpnS2SInterface[IfWe2].AuthenticationMethod: "EAP" is not served by this version: write PSKOnly',
    ],
  },
  {
    what: 'a type of record that does not exist',
    text: f('Rule: TranslationMethodEncap', 'Type: Learned'),
    errors: [
      '44:127: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].Type: "Learned" is not Static, Dynamic, GatewayWildcard or L2Only: write Static, Dynamic, GatewayWildcard or L2Only',
    ],
  },
  {
    what: 'a rule that this version does not serve',
    text: f('TranslationMethodEncap', 'TranslationMethodNat'),
    errors: [
      '44:127: RoutingDomain[Woodgrove].NetVirtualizationLookupRecord[0].Rule: "TranslationMethodNat" is not served by this version: write TranslationMethodEncap or TranslationMethodNone',
    ],
  },
  {
    what: 'a VLAN of a provider address that 802.1Q does not have',
    text: f('PrefixLength: 24', 'PrefixLength: 24, VlanID: 4095'),
    errors: [
      '10:86: NetVirtualizationProviderAddress[0].VlanID: "4095" is not a whole number from 1 to 4094: choose a number of this range',
    ],
  },
  {
    what: 'an encapsulation that does not exist',
    text: f('Gateway: GW-VM\n', 'Gateway: GW-VM\nEncapsulation: STT\n'),
    errors: ['4:16: Encapsulation: "STT" is not NVGRE or VXLAN: write NVGRE or VXLAN'],
  },
  {
    what: 'a prefix length that IPv4 does not have',
    text: f('PrefixLength: 24', 'PrefixLength: 64'),
    errors: [
      '10:74: NetVirtualizationProviderAddress[0].PrefixLength: 64 is longer than the address 192.168.4.33: write at most 32',
    ],
  },
];
