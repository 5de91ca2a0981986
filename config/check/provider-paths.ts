/** A lookup record whose machine cannot be reached would only cost packets (R-POL-2). */
import { type PolicyDomain, ROUTER_MAC } from '../../compartments/policy.ts';
import { routable } from '../../compartments/provider-path.ts';
import type { Address } from '../../lib/address.ts';
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import { type Origins, providerAddressOf, providerRouteOf } from '../resolve.ts';
import type { GatewayFile, HostFile } from '../schema/roots.ts';

type Yaml = Partly<GatewayFile> | Partly<HostFile>;

const PROVIDER = ['NetVirtualizationProviderAddress', 'NetVirtualizationProviderRoute'];

/** Undefined when a part of the provider network could not be read: what is missing has its own error. */
function whole<T extends object>(
  list: readonly (Partly<T> | undefined)[] | undefined,
  needs: readonly (keyof T)[],
): readonly T[] | undefined {
  const good = list?.filter((x) => x && needs.every((key) => (x as Partial<T>)[key] !== undefined));
  return good && good.length === list?.length ? (good as unknown as readonly T[]) : undefined;
}

/**
 * One problem for each provider address, at the first record that names it. `others` = what is wrong with the rest of the file:
 * with an error in the provider network itself nothing can be said.
 */
export function unroutable(
  doc: Yaml,
  domains: readonly PolicyDomain[],
  origins: Origins,
  others: readonly Problem[],
): readonly Problem[] {
  if (others.some((p) => PROVIDER.includes(String(p.path[0])))) return [];
  const addresses = whole<GatewayFile['NetVirtualizationProviderAddress'][number]>(
    doc.NetVirtualizationProviderAddress,
    ['InterfaceAlias', 'ProviderAddress', 'PrefixLength'],
  );
  const routes = whole<GatewayFile['NetVirtualizationProviderRoute'][number]>(doc.NetVirtualizationProviderRoute, [
    'InterfaceAlias',
    'DestinationPrefix',
    'NextHop',
    'Metric',
  ]);
  if (!addresses?.length || !routes) return [];
  const reaches = routable({
    providerAddresses: addresses.map(providerAddressOf),
    providerRoutes: routes.map(providerRouteOf),
  });
  const lost = new Map<Address, Path>();
  for (const record of domains.flatMap((d) => d.lookupRecords)) {
    const path = origins.get(record);
    const { providerAddress: to } = record;
    if (path && record.mac !== ROUTER_MAC && !lost.has(to) && !reaches(to)) lost.set(to, [...path, 'ProviderAddress']);
  }
  return [...lost].map(([to, path]) => ({
    code: 'UNREACHABLE',
    path,
    problem: `${to} is on no prefix of a provider address, and no provider route leads to it`,
    cure: 'correct the address, or add a NetVirtualizationProviderRoute',
  }));
}
