/** Site-to-site interfaces: who may be told apart, and what they may carry (R-S2S-1, R-S2S-2). */
import { IF_IDS_PER_SLOT } from '../../compartments/numbers.ts';
import { familyOf } from '../../lib/address.ts';
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { ownAddresses } from './addresses.ts';
import { duplicates, items, type LineOf, repeated } from './uses.ts';

type Domain = NonNullable<NonNullable<Partly<GatewayFile>['RoutingDomain']>[number]>;
type Tunnel = NonNullable<NonNullable<Domain['VpnS2SInterface']>[number]>;

export function tunnels(doc: Partly<GatewayFile>): readonly (readonly [Tunnel, Path])[] {
  return items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]) =>
    items(d.VpnS2SInterface, [...path, 'VpnS2SInterface']),
  );
}

export const tunnelProblems = (doc: Partly<GatewayFile>, lineOf: LineOf): readonly Problem[] => [
  ...sharedDestinations(doc, lineOf),
  ...domainProblems(doc),
  ...tunnels(doc).flatMap(([t, p]) => [...outerAddresses(doc, t, p), ...subnets(t, p, lineOf)]),
];

/** The tunnel's two outer addresses: one the site's, the other ours, of one family. */
function outerAddresses(doc: Partly<GatewayFile>, t: Tunnel, p: Path): readonly Problem[] {
  const { Destination: destination, SourceIpAddress: source } = t;
  const own = ownAddresses(doc);
  const external = own.filter((a) => a.role === 'External');
  const problems: Problem[] = [];
  if (destination && own.some((a) => a.key === destination))
    problems.push({
      code: 'CONFLICT',
      path: [...p, 'Destination'],
      problem: `${destination} is an address of this gateway`,
      cure: 'write the public address of the site',
    });
  if (source && !external.some((a) => a.key === source))
    problems.push({
      code: 'UNKNOWN_REFERENCE',
      path: [...p, 'SourceIpAddress'],
      problem: `${source} is the IPAddress of no NetAdapter with the role External`,
      cure: 'write one of those addresses, or remove the key',
    });
  if (source && destination && familyOf(source) !== familyOf(destination))
    problems.push({
      code: 'CONFLICT',
      path: [...p, 'SourceIpAddress'],
      problem: `${source} and ${destination} are of different families`,
      cure: 'use IPv4 with IPv4, IPv6 with IPv6',
    });
  const readable = doc.NetAdapter?.every((a) => a?.Role && !('IPAddress' in a && !a.IPAddress));
  if (readable && destination && !source && !external.some((a) => familyOf(a.key) === familyOf(destination)))
    problems.push({
      code: 'CONFLICT',
      path: [...p, 'Destination'],
      problem: `no NetAdapter with the role External has an IPv${familyOf(destination)} IPAddress to reach ${destination} from`,
      cure: 'give the external adapter its address',
    });
  return problems;
}

const subnets = (t: Tunnel, p: Path, lineOf: LineOf): readonly Problem[] =>
  (['IPv4Subnet', 'IPv6Subnet'] as const).flatMap((key) =>
    duplicates(
      'the prefix',
      items(t[key], [...p, key]).map(([s, at]) => ({ key: s.prefix, path: at })),
      lineOf,
      'keep one of the two',
    ),
  );

/** The source address of a caller with a pre-shared key is all that tells its tenant, so it must be one interface's alone. */
function sharedDestinations(doc: Partly<GatewayFile>, lineOf: LineOf): readonly Problem[] {
  const uses = tunnels(doc)
    .filter(([t]) => t.AdminStatus !== false && t.AuthenticationMethod === 'PSKOnly')
    .map(([t, p]) => ({ key: t.Destination, path: [...p, 'Destination'], name: t.Name ?? 'another interface' }));
  return repeated(uses).map(({ use, first }) => ({
    code: 'CONFLICT',
    path: use.path,
    problem: `${use.key} is already the Destination of ${first.name} (line ${lineOf(first.path)}); callers with a pre-shared key are told apart by it`,
    cure: 'change one of the two, or set AdminStatus: false on it',
  }));
}

const domainProblems = (doc: Partly<GatewayFile>): readonly Problem[] =>
  items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]): readonly Problem[] => {
    const at = [...path, 'VpnS2SInterface'];
    const count = d.VpnS2SInterface?.length ?? 0;
    if (d.Type === 'RoutingOnly' && count > 0)
      return [
        {
          code: 'CONFLICT',
          path: at,
          problem: 'a routing domain of type RoutingOnly has no tunnels',
          cure: 'write Type: All, or remove them',
        },
      ];
    if (count >= IF_IDS_PER_SLOT)
      return [
        {
          code: 'TOO_LARGE',
          path: at,
          problem: `${count} tunnels are more than ${IF_IDS_PER_SLOT - 1}`,
          cure: 'split the tenant into two routing domains',
        },
      ];
    return [];
  });
