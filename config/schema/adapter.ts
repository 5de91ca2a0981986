/** The default compartment: adapters, provider addresses and provider routes. */
import { z } from 'zod';
import { field, section } from './field.ts';
import { address, DEFAULT_METRIC, deviceName, integer, interfaceAddress, objectName, oneOf, prefix } from './values.ts';

export const netAdapter = section(
  {
    title: 'NetAdapter',
    description: 'A network adapter of this machine, in the default compartment.',
    notServed: ['VlanID'],
  },
  {
    InterfaceAlias: field({ description: 'Name of the adapter in this file.', aliases: ['Name'] }, objectName()),
    Device: field({ description: "The kernel's name of the adapter, as `ip link` shows it." }, deviceName()),
    Role: field(
      {
        description:
          '`External`: towards sites and internet. `Provider`: carries the overlay. `Management`: only reaches this machine.',
      },
      oneOf(['External', 'Provider', 'Management'], ['Forwarding']),
    ),
    IPAddress: field(
      {
        description:
          'Address of the adapter. Without it the adapter keeps the addresses it has; tunnels need one on an external adapter.',
      },
      interfaceAddress().optional(),
    ),
    DefaultGateway: field(
      { description: 'Next hop of the default route, on the prefix of `IPAddress`.', aliases: ['NextHop'] },
      address().optional(),
    ),
    Mtu: field(
      {
        description: 'Largest packet. Without it the adapter keeps the one it has.',
        unit: 'bytes',
        aliases: ['NlMtu', 'NlMtuBytes'],
      },
      integer(1280, 65535).optional(),
    ),
  },
);

export const providerAddress = section(
  {
    title: 'NetVirtualizationProviderAddress',
    description: 'A provider address (PA): the outer address of the overlay on this machine.',
    notServed: ['MACAddress', 'InterfaceIndex'],
  },
  {
    InterfaceAlias: field({ description: 'A NetAdapter with the role Provider.' }, objectName()),
    ProviderAddress: field(
      { description: 'The address; another one than the `IPAddress` of the adapter.', aliases: ['IPAddress'] },
      address(),
    ),
    PrefixLength: field({ description: 'Length of its prefix.', unit: 'bits' }, integer(1, 128)),
    VlanID: field(
      {
        description:
          'VLAN of the provider network (802.1Q) that the address is in: its frames bear the tag, and without it none is taken for it.',
      },
      integer(1, 4094).optional(),
    ),
  },
);

export const providerRoute = section(
  {
    title: 'NetVirtualizationProviderRoute',
    description: 'A route between provider addresses.',
    notServed: ['InterfaceIndex'],
  },
  {
    InterfaceAlias: field({ description: 'A NetAdapter with the role Provider.' }, objectName()),
    DestinationPrefix: field({ description: 'Where the route leads.' }, prefix()),
    NextHop: field(
      { description: 'Router on a prefix of the adapter or its provider address.', aliases: ['Gateway'] },
      address(),
    ),
    Metric: field(
      { description: 'The lowest wins.', aliases: ['RouteMetric'] },
      integer(1, 65535).default(DEFAULT_METRIC),
    ),
  },
);

/** The keys that a gateway and a host have in common. */
export const adapterSections = {
  NetAdapter: field({ description: 'The adapters.' }, z.array(netAdapter).default([])),
  NetVirtualizationProviderAddress: field(
    { description: 'The provider addresses.' },
    z.array(providerAddress).default([]),
  ),
  NetVirtualizationProviderRoute: field({ description: 'The provider routes.' }, z.array(providerRoute).default([])),
};
