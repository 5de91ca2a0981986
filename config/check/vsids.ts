/** A virtual subnet belongs to one routing domain (R-POL-2). */
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile, HostFile } from '../schema/roots.ts';
import { items, type LineOf } from './uses.ts';

interface Named {
  readonly VirtualSubnetID?: number | undefined;
  readonly IsolationID?: number | undefined;
}

/** Lists of a routing domain that name virtual subnets, and by which key. */
const LISTS = [
  ['VMNetworkAdapterRoutingDomainMapping', 'IsolationID'],
  ['VMNetworkAdapter', 'VirtualSubnetID'],
  ['NetVirtualizationCustomerRoute', 'VirtualSubnetID'],
  ['NetVirtualizationLookupRecord', 'VirtualSubnetID'],
  ['VirtualSubnet', 'VirtualSubnetID'],
] as const;

/** One problem for each virtual subnet that a later routing domain takes from an earlier one. */
export function vsidOwners(doc: Partly<GatewayFile> | Partly<HostFile>, lineOf: LineOf): readonly Problem[] {
  const owners = new Map<number, { readonly domain: Path; readonly path: Path; readonly name: string }>();
  const problems = new Map<string, Problem>();
  for (const [d, domain] of items<object>(doc.RoutingDomain, ['RoutingDomain'])) {
    const lists = d as Readonly<Record<string, readonly (Named | undefined)[] | undefined>> & {
      readonly Name?: string;
    };
    for (const [list, key] of LISTS)
      for (const [item, at] of items(lists[list], [...domain, list])) {
        const vsid = item[key];
        if (vsid === undefined) continue;
        const path = [...at, key];
        const owner = owners.get(vsid);
        if (!owner) owners.set(vsid, { domain, path, name: lists.Name ?? 'another one' });
        else if (owner.domain !== domain && !problems.has(`${domain[1]} ${vsid}`))
          problems.set(`${domain[1]} ${vsid}`, {
            code: 'DUPLICATE',
            path,
            problem: `virtual subnet ${vsid} already belongs to routing domain ${owner.name} (line ${lineOf(owner.path)})`,
            cure: 'use a virtual subnet id that no other routing domain has',
          });
      }
  }
  return [...problems.values()];
}
