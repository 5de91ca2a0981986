/** The overlay's policy of one VM network: customer routes and lookup records (R-POL-1). */
import { z } from 'zod';
import { field, section } from './field.ts';
import { address, DEFAULT_METRIC, integer, mac, oneOf, prefix, vsid } from './values.ts';

export const customerRoute = section(
  {
    title: 'NetVirtualizationCustomerRoute',
    description: 'Where a prefix of the VM network is.',
    notServed: ['RoutingDomainID'],
  },
  {
    VirtualSubnetID: field({ description: 'The virtual subnet that the route belongs to.' }, vsid()),
    DestinationPrefix: field({ description: 'Where the route leads.' }, prefix()),
    NextHop: field(
      {
        description:
          "`0.0.0.0` or `::`: the prefix is the virtual subnet itself. Otherwise a customer address of it, for instance the gateway's.",
      },
      address({ any: true }),
    ),
    Metric: field(
      { description: 'The lowest wins.', aliases: ['RouteMetric'] },
      integer(1, 65535).default(DEFAULT_METRIC),
    ),
  },
);

export const lookupRecord = section(
  {
    title: 'NetVirtualizationLookupRecord',
    description: 'Which machine a customer address (CA) is on.',
    notServed: ['UseVmMACAddress', 'VMName', 'CustomerID', 'Context'],
  },
  {
    CustomerAddress: field(
      { description: 'The address inside the VM network; `0.0.0.0` for the type L2Only.' },
      address({ any: true }),
    ),
    MACAddress: field({ description: 'The MAC address behind it.' }, mac()),
    VirtualSubnetID: field({ description: 'The virtual subnet it is in.' }, vsid()),
    ProviderAddress: field({ description: 'The provider address of the machine.' }, address()),
    Rule: field(
      { description: 'How a packet to it travels: encapsulated.' },
      oneOf(['TranslationMethodEncap'], ['TranslationMethodNone', 'TranslationMethodNat']).default(
        'TranslationMethodEncap',
      ),
    ),
    Type: field(
      {
        description:
          'Where the record comes from; `L2Only` tells where a MAC address is, and its customer address is not known.',
      },
      oneOf(['Static', 'Dynamic', 'L2Only'], ['GatewayWildcard']).default('Static'),
    ),
  },
);

export const overlaySections = {
  NetVirtualizationCustomerRoute: field({ description: 'The customer routes.' }, z.array(customerRoute).default([])),
  NetVirtualizationLookupRecord: field({ description: 'The lookup records.' }, z.array(lookupRecord).default([])),
};
