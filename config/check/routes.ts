/** Static routes and addresses inside the compartments of a gateway (R-CMP-5). */
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { familyProblems, nextHopProblems } from './addresses.ts';
import { duplicates, items, type LineOf } from './uses.ts';

type Domain = NonNullable<NonNullable<Partly<GatewayFile>['RoutingDomain']>[number]>;

const isOnLink = (hop: string | undefined): boolean => hop === undefined || hop === '0.0.0.0' || hop === '::';

export const compartmentRoutes = (doc: Partly<GatewayFile>, lineOf: LineOf): readonly Problem[] =>
  items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]) => [
    ...routeProblems(d, path, lineOf),
    ...addressProblems(d, path, lineOf),
  ]);

function routeProblems(d: Domain, path: Path, lineOf: LineOf): readonly Problem[] {
  const routes = items(d.NetRoute, [...path, 'NetRoute']);
  const internal = new Map(
    items(d.VMNetworkAdapterRoutingDomainMapping, []).map(([i]) => [
      i.IsolationName,
      i.IPAddress?.some((a) => a === undefined) ? undefined : i.IPAddress?.filter((a) => a !== undefined),
    ]),
  );
  const tunnels = new Set(items(d.VpnS2SInterface, []).map(([i]) => i.Name));
  return [
    ...duplicates(
      'the route',
      routes.map(([r, p]) => ({
        key: r.DestinationPrefix && r.RouteMetric && `${r.DestinationPrefix} with metric ${r.RouteMetric}`,
        path: [...p, 'DestinationPrefix'],
      })),
      lineOf,
      'remove one of the two, or give it another metric',
    ),
    ...routes.flatMap(([r, p]): readonly Problem[] => {
      const at = [...p, 'NextHop'];
      const { NextHop: hop, InterfaceAlias: alias } = r;
      const family = familyProblems(at, hop, r.DestinationPrefix);
      if (family.length || hop === undefined || isOnLink(hop) || alias === undefined) return family;
      const onLink = internal.get(alias);
      if (onLink) return nextHopProblems(at, hop, alias, onLink);
      if (!tunnels.has(alias)) return [];
      return [
        {
          code: 'UNREACHABLE',
          path: at,
          problem: `${alias} is a tunnel and has no neighbours`,
          cure: 'write NextHop: 0.0.0.0',
        },
      ];
    }),
  ];
}

const addressProblems = (d: Domain, path: Path, lineOf: LineOf): readonly Problem[] =>
  duplicates(
    'the address',
    items(d.VMNetworkAdapterRoutingDomainMapping, [...path, 'VMNetworkAdapterRoutingDomainMapping']).flatMap(([i, p]) =>
      items(i.IPAddress, [...p, 'IPAddress']).map(([a, at]) => ({ key: a.address, path: at })),
    ),
    lineOf,
    'give each interface of the routing domain an address of its own',
  );
