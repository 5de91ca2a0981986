/** RoutingDomain: one tenant, on the gateway a compartment (R-CMP-1), on a host the ports of its VMs. */
import { z } from 'zod';
import { field, section } from './field.ts';
import { overlaySections } from './overlay.ts';
import { vpnS2SInterface } from './s2s.ts';
import {
  address,
  DEFAULT_METRIC,
  deviceName,
  integer,
  interfaceAddress,
  interfaceName,
  mac,
  objectName,
  oneOf,
  prefix,
  routingDomainId,
  vsid,
} from './values.ts';

export const internalInterface = section(
  {
    title: 'VMNetworkAdapterRoutingDomainMapping',
    description: 'An internal interface: joins the compartment and a virtual subnet (R-CMP-2).',
    notServed: ['AllowUntaggedTraffic', 'DefaultIsolationID', 'IsolationMode'],
  },
  {
    IsolationName: field(
      { description: 'Name of the interface in the compartment.', aliases: ['Name', 'InterfaceAlias'] },
      interfaceName(),
    ),
    IsolationID: field(
      { description: 'The virtual subnet. The gateway is alone on it.', aliases: ['VirtualSubnetID', 'VSID'] },
      vsid(),
    ),
    IPAddress: field({ description: 'Address with length, one or a list.', atLeast: 1 }, z.array(interfaceAddress())),
    MACAddress: field(
      {
        description: 'The MAC address of the interface, which the lookup records of the hosts name.',
        otherwise: '`02:48:4e` and the three bytes of the virtual subnet id',
      },
      mac().optional(),
    ),
  },
);

export const netRoute = section(
  {
    title: 'NetRoute',
    description: 'A static route of the compartment (R-CMP-5).',
    notServed: ['AddressFamily', 'InterfaceIndex', 'PolicyStore', 'Protocol', 'Publish'],
  },
  {
    DestinationPrefix: field({ description: 'Where the route leads.' }, prefix()),
    NextHop: field(
      {
        description:
          'Router on the prefix of an internal interface; `0.0.0.0` or `::` = on-link, the only form over a tunnel.',
        otherwise: 'on-link',
      },
      address({ any: true }).optional(),
    ),
    InterfaceAlias: field(
      { description: 'An internal interface or VpnS2SInterface of this routing domain.' },
      interfaceName(),
    ),
    RouteMetric: field(
      { description: 'The lowest wins.', aliases: ['Metric'] },
      integer(1, 65535).default(DEFAULT_METRIC),
    ),
  },
);

const identity = {
  Name: field(
    { description: 'Name of the tenant; unique.', aliases: ['RoutingDomain', 'RoutingDomainName'] },
    objectName(),
  ),
  RoutingDomainID: field(
    { description: 'Its id, a GUID in braces and quotes; unique.', aliases: ['RDID'] },
    routingDomainId(),
  ),
};

export const routingDomain = section(
  {
    title: 'RoutingDomain',
    description: 'A tenant: a compartment with its own interfaces, addresses and routes.',
    notServed: [
      'AuthenticationTransformConstant',
      'BgpRouter',
      'CipherTransformConstant',
      'CustomPolicy',
      'DHGroup',
      'DnsIPAddress',
      'EnableQoS',
      'EncryptionMethod',
      'EncryptionType',
      'IPAddressRange',
      'IPv6Prefix',
      'IdleDisconnectSec',
      'IntegrityCheckMethod',
      'InterimAccountingPeriodSec',
      'MMSaLifeTimeSec',
      'MaximumVpnConnections',
      'NetBiosIPAddress',
      'PfsGroup',
      'RemoteAccessIpFilter',
      'RxBandwidthKbps',
      'SaLifeTimeSec',
      'SaRenegotiationDataSizeKB',
      'TenantName',
      'TxBandwidthKbps',
    ],
  },
  {
    ...identity,
    Type: field(
      { description: '`VpnS2S`: tunnels and routing. `RoutingOnly`: no tunnels. `All`: everything that is served.' },
      oneOf(['All', 'VpnS2S', 'RoutingOnly'], ['Vpn']).default('All'),
    ),
    VMNetworkAdapterRoutingDomainMapping: field(
      { description: 'The internal interfaces.' },
      z.array(internalInterface).default([]),
    ),
    ...overlaySections,
    NetRoute: field({ description: 'The static routes.' }, z.array(netRoute).default([])),
    VpnS2SInterface: field({ description: 'The site-to-site tunnels.' }, z.array(vpnS2SInterface).default([])),
  },
);

export const vmNetworkAdapter = section(
  {
    title: 'VMNetworkAdapter',
    description: 'The adapter of a VM, as a port of the virtual switch (R-ENC-3).',
    notServed: ['SwitchName', 'IsolationMode', 'VlanID'],
  },
  {
    VMName: field({ description: 'Name of the VM.', aliases: ['Name'] }, objectName()),
    Device: field({ description: "The host's side of it: a TAP device or one end of a veth pair." }, deviceName()),
    VirtualSubnetID: field(
      { description: 'The virtual subnet of the port.', aliases: ['IsolationID', 'VSID'] },
      vsid(),
    ),
    MACAddress: field({ description: 'The MAC address that the VM sends from; no other is let through.' }, mac()),
    IPAddress: field(
      {
        description:
          'The customer addresses that the VM may send from, one or a list. Without them they are learned: the virtual subnet needs `DynamicLearning`.',
        otherwise: 'learned',
      },
      z.array(address()).optional(),
    ),
  },
);

export const hostRoutingDomain = section(
  {
    title: 'RoutingDomain of a host',
    description: 'A tenant with VMs here, or whose VMs here talk to VMs elsewhere.',
  },
  {
    ...identity,
    VMNetworkAdapter: field({ description: 'The ports of the VMs.' }, z.array(vmNetworkAdapter).default([])),
    ...overlaySections,
  },
);
