/**
 * Which provider addresses a machine can reach (R-ENC-10, R-POL-2): neighbours of its own provider addresses, and what a provider
 * route covers from an adapter with a provider address of the same family. Pure.
 */
import { type Address, familyOf } from '../lib/address.ts';
import { contains, prefixOf } from '../lib/prefix.ts';
import type { ProviderAddress, ProviderRoute } from './compartment.ts';

export interface ProviderNetwork {
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
}

/** The question may be asked for every record: a policy has far more records than machines, and answers are kept. */
export function routable({ providerAddresses, providerRoutes }: ProviderNetwork): (destination: Address) => boolean {
  const known = new Map<Address, boolean>();
  const look = (destination: Address): boolean =>
    providerAddresses.some((p) => contains(prefixOf(p.providerAddress, p.prefixLength), destination)) ||
    providerRoutes.some(
      (r) =>
        contains(r.destinationPrefix, destination) &&
        providerAddresses.some(
          (p) => p.interfaceAlias === r.interfaceAlias && familyOf(p.providerAddress) === familyOf(destination),
        ),
    );
  return (destination) => {
    const before = known.get(destination);
    if (before !== undefined) return before;
    const answer = look(destination);
    known.set(destination, answer);
    return answer;
  };
}
