/** LoadBalancingRule: a service outside, served by hosts of a VM network (R-NAT-6); words of the SDN software load balancer. */
import { z } from 'zod';
import { field, section } from './field.ts';
import { boolean, integer, ipv4Address, objectName, oneOf, port, requestPath } from './values.ts';

export const loadBalancerBackend = section(
  { title: 'DIP', description: 'A host of the tenant that serves the VIP.' },
  {
    IPAddress: field({ description: 'Its address in the VM network.' }, ipv4Address()),
    Weight: field({ description: 'Its share of new flows, beside those of the others.' }, integer(1, 100).default(1)),
    Draining: field(
      { description: 'true: it keeps the flows that it has and gets no new ones.' },
      boolean().default(false),
    ),
  },
);

export const loadBalancerProbe = section(
  {
    title: 'Probe',
    description: 'How the health of a DIP is found out, from inside the compartment.',
    notServed: ['Name'],
  },
  {
    Protocol: field(
      { description: '`TCP`: the connection opens. `HTTP`: the answer has status 200.' },
      oneOf(['TCP', 'HTTP']).default('TCP'),
    ),
    Port: field({ description: 'The port to ask at.', otherwise: '`BackendPort`' }, port().optional()),
    RequestPath: field({ description: 'What HTTP asks for.' }, requestPath().default('/')),
    IntervalInSeconds: field({ description: 'Pause between probes.', unit: 's' }, integer(1, 3600).default(5)),
    NumberOfProbes: field(
      { description: 'Failures in a row after which the DIP gets no new flows, and successes after which it does.' },
      integer(1, 100).default(2),
    ),
  },
);

export const loadBalancingRule = section(
  {
    title: 'LoadBalancingRule',
    description: 'A service: an address and port outside (VIP), served by hosts inside (DIPs).',
    notServed: ['IdleTimeoutInMinutes', 'EnableFloatingIP'],
  },
  {
    Name: field({ description: 'Name of the service; unique on the gateway.' }, objectName()),
    RoutingDomain: field(
      { description: 'The tenant of the DIPs. It may be left out where the instance is of one tenant.' },
      objectName().optional(),
    ),
    Protocol: field({ description: 'The protocol.' }, oneOf(['TCP', 'UDP'])),
    FrontendIPAddress: field(
      {
        description: 'The VIP. It lies in `ExternalIPInterfaceAddressPrefix`.',
        aliases: ['VIP', 'FrontendIPConfiguration'],
      },
      ipv4Address(),
    ),
    FrontendPort: field({ description: 'The port outside.' }, port()),
    BackendPort: field({ description: 'The port of the DIPs.', otherwise: '`FrontendPort`' }, port().optional()),
    LoadDistribution: field(
      { description: '`Default`: spreads by addresses and ports. `SourceIP`: a client stays with one DIP.' },
      oneOf(['Default', 'SourceIP'], ['SourceIPProtocol']).default('Default'),
    ),
    DIP: field(
      { description: 'The hosts.', atLeast: 1, aliases: ['BackendAddressPool'] },
      z.array(loadBalancerBackend),
    ),
    Probe: field(
      { description: 'The health probe; without it every DIP counts as healthy.' },
      loadBalancerProbe.optional(),
    ),
  },
);
