/** How the provider network is crossed: from a provider address to the NIC, the source and the next hop (R-ENC-10). Pure. */
import { type Address, familyOf } from '../lib/address.ts';
import { contains, lengthOf, prefixOf } from '../lib/prefix.ts';
import { type Encapsulation, LOCATION_IPV6, LOCATION_VXLAN, overhead } from './abi.ts';
import type { OverlayInput } from './overlay.ts';

/** The field of the maps has sixteen bits. */
export const MAX_MTU = 0xffff;

/** What this machine sends. */
export const sends = (input: OverlayInput): Encapsulation => input.encapsulation ?? 'NVGRE';

/** How a provider address is reached: NIC, our own address on it, next hop, header flags, and the MTU left for the tenant. */
export interface Path {
  readonly flags: number;
  readonly uplink: number;
  readonly source: Address;
  readonly nextHop: Address;
  readonly mtu: number;
  readonly vlan: number; // 0 = untagged
}

/** On-link through the provider address whose subnet holds it, else by the most specific provider route (R-ENC-10). */
function pathTo(input: OverlayInput, destination: Address): Path | undefined {
  const through = (alias: string, nextHop: Address): Path | undefined => {
    const adapter = input.netAdapters.find((a) => a.interfaceAlias === alias);
    const family = familyOf(destination);
    const addresses = input.providerAddresses.filter(
      (p) => p.interfaceAlias === alias && familyOf(p.providerAddress) === family,
    );
    // Of several addresses of the NIC the one that the next hop is a neighbour of: the provider network may know no other there.
    const own = addresses.find((p) => contains(prefixOf(p.providerAddress, p.prefixLength), nextHop)) ?? addresses[0];
    const link = adapter && input.link(adapter.device);
    if (!own || !link) return undefined;
    return {
      uplink: link.index,
      source: own.providerAddress,
      nextHop,
      mtu: Math.min(link.mtu, MAX_MTU) - overhead(sends(input), family),
      vlan: own.vlanId ?? 0,
      flags: (family === 6 ? LOCATION_IPV6 : 0) | (sends(input) === 'VXLAN' ? LOCATION_VXLAN : 0),
    };
  };
  const near = input.providerAddresses.find((p) => contains(prefixOf(p.providerAddress, p.prefixLength), destination));
  if (near) return through(near.interfaceAlias, destination);
  const [route] = input.providerRoutes
    .filter((r) => contains(r.destinationPrefix, destination))
    .sort((a, b) => lengthOf(b.destinationPrefix) - lengthOf(a.destinationPrefix) || a.metric - b.metric);
  return route && through(route.interfaceAlias, route.nextHop);
}

/** The same for every record of a host: a policy has far more records than hosts. None leads to ourselves. */
export type PathsTo = (destination: Address) => Path | undefined;

export function pathsOf(input: OverlayInput): PathsTo {
  const known = new Map<Address, Path | undefined>();
  return (destination) => {
    const path = known.get(destination);
    if (path || known.has(destination)) return path;
    const own = input.providerAddresses.some((p) => p.providerAddress === destination);
    const found = own ? undefined : pathTo(input, destination);
    known.set(destination, found);
    return found;
  };
}
