/** NetNat: NAT and load balancing at the gateway's external side, by the names of the NetNat cmdlets (R-NAT-1 … 6). */
import { z } from 'zod';
import { field, section } from './field.ts';
import { loadBalancingRule } from './load-balancing.ts';
import {
  boolean,
  integer,
  integerOf,
  ipv4Address,
  ipv4Prefix,
  objectName,
  oneOf,
  port,
  routingDomainId,
} from './values.ts';

/** Most rules of NetNatPolicy that apply to one tenant: the data plane looks through them in order, and then through two of its own. */
export const MAX_POLICY_RULES = 14;
/** Most external addresses that one rule chooses from, and most different choices of one tenant's rules. */
export const MAX_POLICY_ADDRESSES = 8;
export const MAX_POLICY_CHOICES = 7;

/** A tenant by its name or, as the cmdlets do, by its id. */
const tenant = (description: string) => ({
  RoutingDomain: field({ description }, objectName().optional()),
  InternalRoutingDomainId: field({ description: 'The same by id; one of the two.' }, routingDomainId().optional()),
});

const inPrefix = 'It lies in `ExternalIPInterfaceAddressPrefix`.';

export const netNatExternalAddress = section(
  {
    title: 'NetNatExternalAddress',
    description: 'An address whose ports are given to tenants, in blocks.',
    notServed: ['ExternalAddressID'],
  },
  {
    IPAddress: field({ description: `The address. ${inPrefix}` }, ipv4Address()),
    PortStart: field({ description: 'First port that may be given.' }, integer(1024, 65534).default(1024)),
    PortEnd: field({ description: 'Last port that may be given.' }, integer(1025, 65535).default(65535)),
    RoutingDomain: field(
      { description: 'The tenants that it is for, one or a list.', otherwise: 'every tenant of the instance' },
      z.array(objectName()).optional(),
    ),
  },
);

export const netNatStaticMapping = section(
  {
    title: 'NetNatStaticMapping',
    description:
      'A port of an external address that leads to a port of a host inside, for ever. It may lie in or outside the port range of the address; no tenant is given the port.',
    notServed: ['StaticMappingID'],
  },
  {
    ...tenant('The tenant. It may be left out where the instance is of one tenant.'),
    Protocol: field({ description: 'The protocol.' }, oneOf(['TCP', 'UDP'])),
    ExternalIPAddress: field({ description: `The address outside. ${inPrefix}` }, ipv4Address()),
    ExternalPort: field({ description: 'The port outside.' }, port()),
    InternalIPAddress: field({ description: 'The host inside.' }, ipv4Address()),
    InternalPort: field({ description: 'The port inside.', otherwise: '`ExternalPort`' }, port().optional()),
    RemoteExternalIPAddressPrefix: field(
      { description: 'Who may use it from outside.', otherwise: 'everybody' },
      ipv4Prefix().optional(),
    ),
  },
);

export const netNatOneToOneMapping = section(
  {
    title: 'NetNatOneToOneMapping',
    description: 'A whole external address for one host inside: both ways, ports unchanged, no session needed.',
  },
  {
    RoutingDomain: field({ description: 'The tenant.' }, objectName().optional()),
    ExternalIPAddress: field(
      { description: `The address outside; it is used for nothing else. ${inPrefix}` },
      ipv4Address(),
    ),
    InternalIPAddress: field({ description: 'The host inside.' }, ipv4Address()),
  },
);

export const netNatPolicy = section(
  {
    title: 'NetNatPolicy',
    description: `What becomes of new flows from inside, by their destination: the first rule that matches decides, at most ${MAX_POLICY_RULES} for a tenant. Where none matches, a host with a one-to-one mapping uses it and every other the addresses of its tenant.`,
  },
  {
    RoutingDomain: field(
      { description: 'The tenant.', otherwise: 'every tenant of the instance' },
      objectName().optional(),
    ),
    DestinationPrefix: field({ description: 'Destinations that the rule is about.' }, ipv4Prefix()),
    Action: field(
      {
        description:
          '`Translate`: to an external address and port. `OneToOne`: by the one-to-one mapping of the host; a host that has none goes on to the next rule. `Drop`: not let out.',
      },
      oneOf(['Translate', 'OneToOne', 'Drop']).default('Translate'),
    ),
    ExternalIPAddress: field(
      {
        description: `For \`Translate\`: the external addresses to choose from, at most ${MAX_POLICY_ADDRESSES}.`,
        otherwise: 'all of the tenant',
      },
      z.array(ipv4Address()).optional(),
    ),
  },
);

const limit = () => integer(1, 0xffff_ffff).optional();

export const netNatQuota = section(
  {
    title: 'NetNatQuota',
    description:
      'Limits of a tenant and of each of its hosts (RFC 6888 REQ-4). What is over a limit is dropped, with a reason and an ICMP error; nobody else is touched.',
  },
  {
    RoutingDomain: field(
      { description: 'The tenant.', otherwise: 'every tenant of the instance that has no limits of its own' },
      objectName().optional(),
    ),
    PortBlocks: field(
      {
        description: 'Port blocks of the tenant at one time.',
        otherwise:
          'its share of the blocks that it may use, at most 128: no tenant can take what is the share of another',
      },
      integer(1, 128).optional(),
    ),
    Sessions: field(
      { description: 'Sessions of the tenant.', otherwise: 'the session table divided by the tenants' },
      limit(),
    ),
    SessionsPerHost: field({ description: 'Sessions of one inside address.' }, limit()),
    PortsPerHost: field({ description: 'External ports of one inside address.' }, limit()),
    NewSessionsPerSecond: field(
      { description: 'New sessions of the tenant, with as many at once.', unit: '1/s' },
      limit(),
    ),
    NewSessionsPerSecondPerHost: field(
      { description: 'New sessions of one inside address, with as many at once.', unit: '1/s' },
      limit(),
    ),
  },
);

const filtering = () =>
  oneOf(['EndpointIndependentFiltering', 'AddressDependentFiltering', 'AddressAndPortDependentFiltering']).default(
    'EndpointIndependentFiltering',
  );

const timeout = (seconds: number) => integer(1, 604_800).default(seconds);

export const netNat = section(
  {
    title: 'NetNat',
    description:
      'NAT for one tenant or for all. A packet that has no route in its compartment goes to it. A tenant uses the instance that names it, otherwise the one that names none.',
    notServed: ['InternalIPInterfaceAddressPrefix', 'Store', 'Active', 'InterRoutingDomainHairpinningMode'],
  },
  {
    Name: field({ description: 'Name of the instance.' }, objectName()),
    ExternalIPInterfaceAddressPrefix: field(
      { description: 'Selects the external adapter: the one whose `IPAddress` lies in it.' },
      ipv4Prefix(),
    ),
    ...tenant('The only tenant of the instance. Without it: every tenant that has no instance of its own.'),
    IcmpQueryTimeout: field({ description: 'Idle time of an ICMP query session.', unit: 's' }, timeout(30)),
    TcpEstablishedConnectionTimeout: field(
      { description: 'Idle time of an established connection. RFC 5382 asks for 7440.', unit: 's' },
      timeout(1800),
    ),
    TcpTransientConnectionTimeout: field(
      { description: 'Idle time of a connection that opens or closes. RFC 5382 asks for 240.', unit: 's' },
      timeout(120),
    ),
    UdpIdleSessionTimeout: field({ description: 'Idle time of a UDP session.', unit: 's' }, timeout(120)),
    TcpFilteringBehavior: field(
      {
        description:
          'Who may open a connection to a mapping from outside: anybody, addresses that it was used towards, or nobody but the peer itself.',
      },
      filtering(),
    ),
    UdpFilteringBehavior: field({ description: 'The same for UDP.' }, filtering()),
    UdpInboundRefresh: field(
      { description: 'true: packets from outside keep a UDP session too.' },
      boolean().default(false),
    ),
    PortBlockSize: field(
      { description: 'Ports that a tenant is given at a time.', unit: 'ports' },
      integerOf([64, 128, 256, 512, 1024]).default(512),
    ),
    PortQuarantineSeconds: field(
      { description: 'For how long a port that was used is given to nobody.', unit: 's' },
      integer(0, 3600).default(120),
    ),
    NetNatExternalAddress: field(
      { description: 'The external addresses.' },
      z.array(netNatExternalAddress).default([]),
    ),
    NetNatStaticMapping: field({ description: 'The static mappings.' }, z.array(netNatStaticMapping).default([])),
    NetNatOneToOneMapping: field(
      { description: 'The one-to-one mappings.' },
      z.array(netNatOneToOneMapping).default([]),
    ),
    NetNatPolicy: field({ description: 'The rules by destination, in order.' }, z.array(netNatPolicy).default([])),
    NetNatQuota: field({ description: 'The limits.' }, z.array(netNatQuota).default([])),
    LoadBalancingRule: field(
      { description: 'The services that are balanced.' },
      z.array(loadBalancingRule).default([]),
    ),
  },
);
