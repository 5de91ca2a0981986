/** The gateway's YAML for the example, and the four ways to get it wrong that check 6 shows. */
import {
  CLOUD_SUBNET,
  GATEWAY,
  GATEWAY_SUBNET,
  GATEWAY_SUBNET_ROUTER,
  HOSTS,
  type Site,
  type Tenant,
} from './fabrikam.ts';

const s2s = (site: Site, secretsDir: string): string =>
  `      - { Name: ${site.interfaceAlias}, Protocol: IKEv2, Destination: ${site.destination}, AuthenticationMethod: PSKOnly, ` +
  `SharedSecret: { File: ${secretsDir}/${site.netns} }, IPv4Subnet: ["${site.lan}:100"], Persistent: ${site.persistent} }`;

/** The customer routes of a tenant, the same text on hosts and on the gateway. */
export const customerRoutes = (t: Tenant): string => `    NetVirtualizationCustomerRoute:
      - { VirtualSubnetID: ${t.vsid}, DestinationPrefix: ${CLOUD_SUBNET}, NextHop: 0.0.0.0 }
      - { VirtualSubnetID: ${t.gatewayVsid}, DestinationPrefix: ${GATEWAY_SUBNET}, NextHop: 0.0.0.0 }
${t.behindGateway.map((p) => `      - { VirtualSubnetID: ${t.gatewayVsid}, DestinationPrefix: ${p}, NextHop: ${GATEWAY.internalAddress} }`).join('\n')}`;

/** The lookup records of a tenant's VMs. */
export const vmRecords = (t: Tenant): string =>
  `    NetVirtualizationLookupRecord:\n${t.vms
    .map(
      (vm) =>
        `      - { CustomerAddress: ${vm.address}, MACAddress: "${vm.mac.replaceAll(':', '')}", ` +
        `VirtualSubnetID: ${t.vsid}, ProviderAddress: ${HOSTS[vm.host]}, Rule: TranslationMethodEncap }`,
    )
    .join('\n')}`;

const routingDomain = (t: Tenant, secretsDir: string): string => `  - Name: ${t.name}
    RoutingDomainID: "${t.routingDomainId}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: ${t.internalInterface}, IsolationID: ${t.gatewayVsid}, IPAddress: ${GATEWAY.internalAddress}/24, MACAddress: "${t.gatewayMac.replaceAll(':', '')}" }
${customerRoutes(t)}
${vmRecords(t)}
    NetRoute:
      - { DestinationPrefix: ${CLOUD_SUBNET}, NextHop: ${GATEWAY_SUBNET_ROUTER}, InterfaceAlias: ${t.internalInterface}, RouteMetric: 100 }
    VpnS2SInterface:
${t.sites.map((s) => s2s(s, secretsDir)).join('\n')}`;

/**
 * `gateway.yaml` of the example for the given tenants. Secrets are files `<secretsDir>/<site>`; the directory is absolute, so
 * that a copy of the file elsewhere means the same.
 */
export const gatewayYaml = (tenants: readonly Tenant[], secretsDir: string): string => `Gateway: ${GATEWAY.name}

NetAdapter:
  - { InterfaceAlias: If2, Device: eth0, Role: External, IPAddress: ${GATEWAY.publicAddress}/24, DefaultGateway: ${GATEWAY.router} }
  - { InterfaceAlias: NIC1, Device: eth1, Role: Provider }

NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: ${GATEWAY.providerAddress}, PrefixLength: 24 }

RoutingDomain:
${tenants.map((t) => routingDomain(t, secretsDir)).join('\n\n')}
`;

export interface BrokenYaml {
  readonly name: string;
  readonly title: string;
  readonly text: string;
  readonly line: number; // where the operator should look, 1-based
  readonly words: RegExp; // must stand in the message
}

/** Replaces `from`, which must occur, and tells the line of the change. */
function broken(yaml: string, name: string, title: string, from: string, to: string, words: RegExp): BrokenYaml {
  const at = yaml.lastIndexOf(from);
  if (at < 0) throw new Error(`the example's YAML has no ${JSON.stringify(from)} to break for ${name}`);
  const text = yaml.slice(0, at) + to + yaml.slice(at + from.length);
  return { name, title, text, line: yaml.slice(0, at).split('\n').length, words };
}

/** Every variant changes one line of the last tenant in `yaml` (Woodgrove in the example). */
export const brokenYamls = (yaml: string): readonly BrokenYaml[] => [
  broken(yaml, 'unknown-key', 'an unknown key', 'IPv4Subnet:', 'IPv4Subnets:', /IPv4Subnets/),
  broken(
    yaml,
    'same-destination',
    'two PSK interfaces with one Destination',
    '60.10.10.100',
    '59.10.10.10',
    /59\.10\.10\.10/,
  ),
  broken(yaml, 'vsid-range', 'a VSID out of range', 'IsolationID: 6002', 'IsolationID: 16777215', /16777214/),
  broken(yaml, 'vsid-twice', 'a VSID used by two tenants', 'IsolationID: 6002', 'IsolationID: 5002', /5002/),
  broken(yaml, 'prefix', 'a prefix that does not parse', '10.2.0.0/24:100', '10.2.0.0/33:100', /10\.2\.0\.0\/33/),
];
