/** What can be wrong in the file of a host. */
import { type Case, change, HOST1 } from '../examples.ts';

const h = (from: string, to: string) => change(HOST1, from, to);
const W = 'RoutingDomain[Woodgrove]';
const PORT = `${W}.VMNetworkAdapter[woodgrove-vm]`;
const ONE_ADAPTER = 'give each customer address to one adapter; remove one of the two';

export const HOSTS: readonly Case[] = [
  {
    what: "a gateway's file",
    text: h('Host: Host1', 'Gateway: GW-VM'),
    errors: [
      '2:1: Gateway: the key "Gateway" is not known here: the keys here are Host, Encapsulation, NetAdapter, NetVirtualizationProviderAddress, NetVirtualizationProviderRoute, RoutingDomain',
      '2:1: Host: the key is missing: add it',
    ],
  },
  {
    what: 'a device of two ports',
    text: h('Device: woodgrove0', 'Device: contoso0'),
    errors: [
      `26:41: ${PORT}.Device: the device contoso0 is already there in line 14: give each port a device of its own`,
    ],
  },
  {
    what: 'a device of a port and an adapter',
    text: h('Device: woodgrove0', 'Device: eth0'),
    errors: [`26:41: ${PORT}.Device: the device eth0 is already there in line 5: give each port a device of its own`],
  },
  {
    what: 'a port on the virtual subnet of another tenant',
    text: h('Device: woodgrove0, VirtualSubnetID: 6001', 'Device: woodgrove0, VirtualSubnetID: 5001'),
    errors: [
      `26:70: ${PORT}.VirtualSubnetID: virtual subnet 5001 already belongs to routing domain Contoso (line 14): use a virtual subnet id that no other routing domain has`,
      `32:28: ${W}.NetVirtualizationLookupRecord[0].CustomerAddress: 10.0.0.10 is already held by port woodgrove-vm in this VM network: ${ONE_ADAPTER}`,
      `32:51: ${W}.NetVirtualizationLookupRecord[0].MACAddress: MAC 20:20:20:20:22:05 is already used by port woodgrove-vm in this VM network: give each adapter a MAC of its own`,
    ],
  },
  {
    what: 'a section of the gateway only',
    text: h('    VMNetworkAdapter:', '    VpnS2SInterface: []\n    VMNetworkAdapter:'),
    errors: [
      `25:5: ${W}.VpnS2SInterface: the key "VpnS2SInterface" is not known here: the keys here are Name, RoutingDomainID, VMNetworkAdapter, VirtualSubnet, SourceCheck, MaximumLearnedRecords, NetVirtualizationCustomerRoute, NetVirtualizationLookupRecord`,
    ],
  },
  {
    what: 'two VMs with one address',
    text: h(
      'Device: woodgrove0',
      'Device: w1, VirtualSubnetID: 6001, MACAddress: "020000000001", IPAddress: 10.0.0.10 }\n      - { VMName: woodgrove-vm, Device: woodgrove0',
    ),
    errors: [
      `27:115: ${PORT}.IPAddress[0]: 10.0.0.10 is already held by port woodgrove-vm in this VM network: ${ONE_ADAPTER}`,
      `33:28: ${W}.NetVirtualizationLookupRecord[0].CustomerAddress: 10.0.0.10 is already held by port woodgrove-vm in this VM network: ${ONE_ADAPTER}`,
    ],
  },
];
