/** NetNat from the YAML's shape to the runtime's, of a file without errors. */
import type { GatewayConfig, RoutingDomainId } from '../compartments/compartment.ts';
import type { LoadBalancingRule, NatTenantQuota, NetNat } from '../compartments/nat.ts';
import type { GatewayFile } from './schema/roots.ts';

type NetNatYaml = GatewayFile['NetNat'][number];
type RuleYaml = NetNatYaml['LoadBalancingRule'][number];
type QuotaYaml = NetNatYaml['NetNatQuota'][number];

interface NamesTenant {
  readonly RoutingDomain?: string | undefined;
  readonly InternalRoutingDomainId?: RoutingDomainId | undefined;
}

/** Only what is there: an absent limit has no key. */
function quotaOf(q: QuotaYaml, routingDomainId: RoutingDomainId | undefined): NatTenantQuota {
  return {
    ...(routingDomainId && { routingDomainId }),
    ...(q.PortBlocks && { portBlocks: q.PortBlocks }),
    ...(q.Sessions && { sessions: q.Sessions }),
    ...(q.SessionsPerHost && { sessionsPerHost: q.SessionsPerHost }),
    ...(q.PortsPerHost && { portsPerHost: q.PortsPerHost }),
    ...(q.NewSessionsPerSecond && { newSessionsPerSecond: q.NewSessionsPerSecond }),
    ...(q.NewSessionsPerSecondPerHost && { newSessionsPerSecondPerHost: q.NewSessionsPerSecondPerHost }),
  };
}

function ruleOf(r: RuleYaml, routingDomainId: RoutingDomainId): LoadBalancingRule {
  const backendPort = r.BackendPort ?? r.FrontendPort;
  return {
    name: r.Name,
    routingDomainId,
    protocol: r.Protocol,
    frontendIpAddress: r.FrontendIPAddress,
    frontendPort: r.FrontendPort,
    backendPort,
    loadDistribution: r.LoadDistribution,
    backends: r.DIP.map((d) => ({ ipAddress: d.IPAddress, weight: d.Weight, draining: d.Draining })),
    ...(r.Probe && {
      probe: {
        protocol: r.Probe.Protocol,
        port: r.Probe.Port ?? backendPort,
        requestPath: r.Probe.RequestPath,
        intervalSeconds: r.Probe.IntervalInSeconds,
        numberOfProbes: r.Probe.NumberOfProbes,
      },
    }),
  };
}

function netNatOf(n: NetNatYaml, idOf: (name: string) => RoutingDomainId): NetNat {
  const named = (x: NamesTenant) => (x.RoutingDomain === undefined ? x.InternalRoutingDomainId : idOf(x.RoutingDomain));
  const only = named(n);
  // The checks refuse an item without tenant where the instance has none.
  const of = (x: NamesTenant): RoutingDomainId => (named(x) ?? only)!;
  return {
    name: n.Name,
    externalIpInterfaceAddressPrefix: n.ExternalIPInterfaceAddressPrefix,
    ...(only && { internalRoutingDomainId: only }),
    icmpQueryTimeout: n.IcmpQueryTimeout,
    tcpEstablishedConnectionTimeout: n.TcpEstablishedConnectionTimeout,
    tcpTransientConnectionTimeout: n.TcpTransientConnectionTimeout,
    udpIdleSessionTimeout: n.UdpIdleSessionTimeout,
    tcpFilteringBehavior: n.TcpFilteringBehavior,
    udpFilteringBehavior: n.UdpFilteringBehavior,
    udpInboundRefresh: n.UdpInboundRefresh,
    portBlockSize: n.PortBlockSize,
    portQuarantineSeconds: n.PortQuarantineSeconds,
    externalAddresses: n.NetNatExternalAddress.map((a) => ({
      ipAddress: a.IPAddress,
      portStart: a.PortStart,
      portEnd: a.PortEnd,
      routingDomainIds: a.RoutingDomain?.map(idOf) ?? [],
    })),
    staticMappings: n.NetNatStaticMapping.map((m) => ({
      routingDomainId: of(m),
      protocol: m.Protocol,
      externalIpAddress: m.ExternalIPAddress,
      externalPort: m.ExternalPort,
      internalIpAddress: m.InternalIPAddress,
      internalPort: m.InternalPort ?? m.ExternalPort,
      ...(m.RemoteExternalIPAddressPrefix && { remoteExternalIpAddressPrefix: m.RemoteExternalIPAddressPrefix }),
    })),
    oneToOneMappings: n.NetNatOneToOneMapping.map((m) => ({
      routingDomainId: of(m),
      externalIpAddress: m.ExternalIPAddress,
      internalIpAddress: m.InternalIPAddress,
    })),
    policy: n.NetNatPolicy.map((r) => ({
      ...(r.RoutingDomain !== undefined && { routingDomainId: idOf(r.RoutingDomain) }),
      destinationPrefix: r.DestinationPrefix,
      action: r.Action,
      externalIpAddresses: r.ExternalIPAddress ?? [],
    })),
    quotas: n.NetNatQuota.map((q) => quotaOf(q, named(q))),
    loadBalancingRules: n.LoadBalancingRule.map((r) => ruleOf(r, of(r))),
  };
}

/** The key is absent where the file has no NetNat. */
export function netNatsOf(doc: GatewayFile): Pick<GatewayConfig, 'netNats'> {
  if (!doc.NetNat.length) return {};
  const ids = new Map(doc.RoutingDomain.map((d) => [d.Name, d.RoutingDomainID]));
  return { netNats: doc.NetNat.map((n) => netNatOf(n, (name) => ids.get(name)!)) };
}
