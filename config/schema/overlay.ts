/** The overlay's policy of one VM network: customer routes, lookup records (R-POL-1), and what virtual subnets do beside them. */
import { z } from 'zod';
import { field, section } from './field.ts';
import { address, boolean, DEFAULT_METRIC, dscp, integer, mac, oneOf, prefix, vsid } from './values.ts';

const DEFAULT_AGEING_SECONDS = 300;
const DEFAULT_MAXIMUM_LEARNED = 1024;

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
      {
        description: 'The address inside the VM network; `0.0.0.0` for the types L2Only and GatewayWildcard, or `::`.',
      },
      address({ any: true }),
    ),
    MACAddress: field({ description: 'The MAC address behind it.' }, mac()),
    VirtualSubnetID: field({ description: 'The virtual subnet it is in.' }, vsid()),
    ProviderAddress: field({ description: 'The provider address of the machine.' }, address()),
    Rule: field(
      {
        description:
          'How a packet to it travels. `TranslationMethodEncap`: encapsulated. `TranslationMethodNone`: as it is, on the provider network.',
      },
      oneOf(['TranslationMethodEncap', 'TranslationMethodNone'], ['TranslationMethodNat']).default(
        'TranslationMethodEncap',
      ),
    ),
    Type: field(
      {
        description:
          '`Static`: by the operator. `Dynamic`: learned, here or elsewhere. `GatewayWildcard`: every address of the virtual subnet that no other record names is at the gateway, so the next hops of customer routes need no record. `L2Only` tells where a MAC address is, and its customer address is not known.',
      },
      oneOf(['Static', 'Dynamic', 'GatewayWildcard', 'L2Only']).default('Static'),
    ),
  },
);

export const virtualSubnet = section(
  {
    title: 'VirtualSubnet',
    description:
      'What a virtual subnet does beside its records. One that is not listed learns nothing and replicates nothing.',
  },
  {
    VirtualSubnetID: field({ description: 'The virtual subnet.', aliases: ['VSID', 'IsolationID'] }, vsid()),
    DynamicLearning: field(
      {
        description:
          'Addresses behind L2Only records are asked for and learned from what the VMs say (R-ENC-8). VMs here need no `IPAddress`.',
      },
      boolean().default(false),
    ),
    AgeingTimeSeconds: field(
      { description: 'A learned address is forgotten when nothing was heard of it for so long.', unit: 'seconds' },
      integer(10, 86_400).default(DEFAULT_AGEING_SECONDS),
    ),
    Replication: field(
      { description: 'Broadcast and multicast of VMs reach every port of the virtual subnet (R-ENC-12).' },
      boolean().default(false),
    ),
    DSCP: field(
      {
        description:
          "DSCP of the outer header (RFC 2983). `Copy`: the tenant's. `Uniform`: the tenant's, and what arrives goes back into the tenant's packet. A number: always this one.",
      },
      dscp().default('Copy'),
    ),
  },
);

export const overlaySections = {
  VirtualSubnet: field(
    { description: 'Virtual subnets that do more than to forward by the records.' },
    z.array(virtualSubnet).default([]),
  ),
  SourceCheck: field(
    {
      description:
        "What arrives is dropped when a record places its sender's address behind another provider address. Costs a look-up for each packet, and what a VM that moved sends is lost until its record here says so.",
    },
    boolean().default(false),
  ),
  MaximumLearnedRecords: field(
    { description: 'How many addresses of the tenant are learned at most, so that no VM fills the machine.' },
    integer(0, 1_000_000).default(DEFAULT_MAXIMUM_LEARNED),
  ),
  NetVirtualizationCustomerRoute: field({ description: 'The customer routes.' }, z.array(customerRoute).default([])),
  NetVirtualizationLookupRecord: field({ description: 'The lookup records.' }, z.array(lookupRecord).default([])),
};
