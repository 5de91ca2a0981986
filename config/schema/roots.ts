/** The two files: a gateway's and a host's. */
import { z } from 'zod';
import { adapterSections } from './adapter.ts';
import { field, section } from './field.ts';
import { netNat } from './nat.ts';
import { hostRoutingDomain, routingDomain } from './routing-domain.ts';
import { objectName, oneOf } from './values.ts';

const encapsulation = {
  Encapsulation: field(
    {
      description:
        'How frames travel between provider addresses: `NVGRE` (RFC 7637) or `VXLAN` (RFC 7348, UDP 4789). All machines that talk to each other use the same.',
    },
    oneOf(['NVGRE', 'VXLAN']).default('NVGRE'),
  ),
};

export const gatewayFile = section(
  {
    title: 'The file of a gateway',
    description: 'Read by `hnvgw`; every key stands at the left margin.',
    notServed: ['NetNatGlobal', 'RemoteAccess', 'VpnAuthProtocol', 'VpnServerConfiguration'],
  },
  {
    Gateway: field({ description: 'Name of the gateway.' }, objectName()),
    ...encapsulation,
    ...adapterSections,
    RoutingDomain: field({ description: 'The tenants.' }, z.array(routingDomain).default([])),
    NetNat: field({ description: 'NAT and load balancing.' }, z.array(netNat).default([])),
  },
);

export const hostFile = section(
  { title: 'The file of a host', description: 'Read by `hnvhost`; every key stands at the left margin.' },
  {
    Host: field({ description: 'Name of the host.', aliases: ['ComputerName'] }, objectName()),
    ...encapsulation,
    ...adapterSections,
    RoutingDomain: field({ description: 'The tenants.' }, z.array(hostRoutingDomain).default([])),
  },
);

export type GatewayFile = z.output<typeof gatewayFile>;
export type HostFile = z.output<typeof hostFile>;
