/** The YAML of a host's agent: the tenants' policy records, its VMs as ports, and the gateway's own record for the wildcard route. */
import { GATEWAY, HOSTS, type Tenant } from '../fabrikam.ts';
import { customerRoutes, vmRecords } from '../gateway-yaml.ts';

export type HostName = keyof typeof HOSTS;

const gatewayRecord = (t: Tenant): string =>
  `      - { CustomerAddress: ${GATEWAY.internalAddress}, MACAddress: "${t.gatewayMac.replaceAll(':', '')}", ` +
  `VirtualSubnetID: ${t.gatewayVsid}, ProviderAddress: ${GATEWAY.providerAddress}, Rule: TranslationMethodEncap }`;

function routingDomain(t: Tenant, host: HostName): string {
  const ports = t.vms
    .filter((vm) => vm.host === host)
    .map(
      (vm) =>
        `      - { VMName: ${vm.netns}, Device: ${vm.device}, VirtualSubnetID: ${t.vsid}, ` +
        `MACAddress: "${vm.mac.replaceAll(':', '')}", IPAddress: [${vm.address}] }`,
    );
  return `  - Name: ${t.name}
    RoutingDomainID: "${t.routingDomainId}"
    VMNetworkAdapter:
${ports.join('\n')}
${customerRoutes(t)}
${vmRecords(t)}
${gatewayRecord(t)}`;
}

export const hostYaml = (host: HostName, tenants: readonly Tenant[]): string => `Host: ${host}

NetAdapter:
  - { InterfaceAlias: NIC1, Device: nic, Role: Provider }

NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: ${HOSTS[host]}, PrefixLength: 24 }

RoutingDomain:
${tenants.map((t) => routingDomain(t, host)).join('\n\n')}
`;
