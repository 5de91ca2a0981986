/** Addresses of the default compartment and of compartments, and whether next hops can be reached from them. */
import { type Address, type Family, familyOf } from '../../lib/address.ts';
import { contains, isDefault, type Prefix, prefixFamily, prefixOf } from '../../lib/prefix.ts';
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile, HostFile } from '../schema/roots.ts';
import type { InterfaceAddress } from '../schema/values.ts';
import { duplicates, items, type LineOf, repeated, type Use } from './uses.ts';

type Either = Partly<GatewayFile> | Partly<HostFile>;

export const onLinkPrefix = (a: InterfaceAddress): Prefix => prefixOf(a.address, a.prefixLength);

/** Addresses of this machine in the default compartment. */
export function ownAddresses(
  doc: Either,
): readonly (Use & { readonly key: Address; readonly role: string | undefined })[] {
  return [
    ...items(doc.NetAdapter, ['NetAdapter']).flatMap(([a, p]) =>
      a.IPAddress ? [{ key: a.IPAddress.address, path: [...p, 'IPAddress'], role: a.Role }] : [],
    ),
    ...items(doc.NetVirtualizationProviderAddress, ['NetVirtualizationProviderAddress']).flatMap(([a, p]) =>
      a.ProviderAddress ? [{ key: a.ProviderAddress, path: [...p, 'ProviderAddress'], role: 'Provider' }] : [],
    ),
  ];
}

/** Next hop of a route over prefixes that are on-link there. */
export function nextHopProblems(
  path: Path,
  hop: Address,
  where: string,
  onLink: readonly InterfaceAddress[],
): readonly Problem[] {
  if (onLink.some((a) => a.address === hop))
    return [
      {
        code: 'CONFLICT',
        path,
        problem: `${hop} is the address of ${where} itself`,
        cure: 'choose the address of a neighbour',
      },
    ];
  if (onLink.some((a) => contains(onLinkPrefix(a), hop))) return [];
  const prefixes = onLink.map(onLinkPrefix).join(', ');
  return [
    {
      code: 'UNREACHABLE',
      path,
      problem: `${hop} is on no prefix of ${where}${prefixes && ` (${prefixes})`}`,
      cure: prefixes ? 'choose a next hop on it' : `give ${where} an address first`,
    },
  ];
}

/** The next hop has the family of the prefix, so that the kernel takes the route. */
export function familyProblems(path: Path, hop: Address | undefined, prefix: Prefix | undefined): readonly Problem[] {
  if (!hop || !prefix || familyOf(hop) === prefixFamily(prefix)) return [];
  return [
    {
      code: 'CONFLICT',
      path,
      problem: `${hop} and ${prefix} are of different families`,
      cure: 'use IPv4 with IPv4, IPv6 with IPv6',
    },
  ];
}

export function defaultCompartment(doc: Either, lineOf: LineOf): readonly Problem[] {
  const adapters = items(doc.NetAdapter, ['NetAdapter']);
  const gateways = adapters.flatMap(([a, p]) =>
    a.DefaultGateway ? [{ key: familyOf(a.DefaultGateway), path: [...p, 'DefaultGateway'] }] : [],
  );
  return [
    ...duplicates('the address', ownAddresses(doc), lineOf, 'give each adapter and provider address one of its own'),
    ...repeated(gateways).map(
      ({ use, first }): Problem => ({
        code: 'CONFLICT',
        path: use.path,
        problem: `there is already a DefaultGateway for IPv${use.key} in line ${lineOf(first.path)}`,
        cure: 'keep one',
      }),
    ),
    ...adapters.flatMap(([a, p]): readonly Problem[] => {
      // An address that is there but wrong has its own error.
      if (!a.DefaultGateway || ('IPAddress' in a && !a.IPAddress)) return [];
      const where = a.InterfaceAlias ?? 'the adapter';
      return nextHopProblems([...p, 'DefaultGateway'], a.DefaultGateway, where, a.IPAddress ? [a.IPAddress] : []);
    }),
    ...providerRoutes(doc, lineOf),
    ...providerHosts(doc),
    ...withoutProviderAddress(doc),
  ];
}

/** A provider address is a host of its prefix. */
const providerHosts = (doc: Either): readonly Problem[] =>
  items(doc.NetVirtualizationProviderAddress, ['NetVirtualizationProviderAddress']).flatMap(
    ([a, p]): readonly Problem[] => {
      const { ProviderAddress: pa, PrefixLength: length } = a;
      if (!pa || length === undefined) return [];
      const bits = familyOf(pa) === 4 ? 32 : 128;
      if (length > bits)
        return [
          {
            code: 'BAD_VALUE',
            path: [...p, 'PrefixLength'],
            problem: `${length} is longer than the address ${pa}`,
            cure: `write at most ${bits}`,
          },
        ];
      if (length > bits - 2 || prefixOf(pa, length) !== `${pa}/${length}`) return [];
      return [
        {
          code: 'BAD_VALUE',
          path: [...p, 'ProviderAddress'],
          problem: `${pa} is the network ${pa}/${length} itself`,
          cure: 'choose the address of a host in it',
        },
      ];
    },
  );

function providerRoutes(doc: Either, lineOf: LineOf): readonly Problem[] {
  const routes = items(doc.NetVirtualizationProviderRoute, ['NetVirtualizationProviderRoute']);
  const addresses = (alias: string): readonly InterfaceAddress[] => [
    ...items(doc.NetAdapter, []).flatMap(([a]) => (a.InterfaceAlias === alias && a.IPAddress ? [a.IPAddress] : [])),
    ...items(doc.NetVirtualizationProviderAddress, []).flatMap(([a]) =>
      a.InterfaceAlias === alias && a.ProviderAddress && a.PrefixLength !== undefined
        ? [{ address: a.ProviderAddress, prefixLength: a.PrefixLength }]
        : [],
    ),
  ];
  const hasDefault = (family: Family) =>
    items(doc.NetAdapter, []).some(([a]) => a.DefaultGateway && familyOf(a.DefaultGateway) === family);
  return [
    ...duplicates(
      'the route',
      routes.map(([r, p]) => ({
        key: r.DestinationPrefix && r.Metric && `${r.DestinationPrefix} with metric ${r.Metric}`,
        path: [...p, 'DestinationPrefix'],
      })),
      lineOf,
      'remove one of the two, or give it another metric',
    ),
    ...routes.flatMap(([r, p]): readonly Problem[] => [
      ...familyProblems([...p, 'NextHop'], r.NextHop, r.DestinationPrefix),
      ...(r.NextHop && r.InterfaceAlias
        ? nextHopProblems([...p, 'NextHop'], r.NextHop, r.InterfaceAlias, addresses(r.InterfaceAlias))
        : []),
      ...(r.DestinationPrefix && isDefault(r.DestinationPrefix) && hasDefault(prefixFamily(r.DestinationPrefix))
        ? [
            {
              code: 'CONFLICT' as const,
              path: [...p, 'DestinationPrefix'],
              problem: 'an adapter already has a DefaultGateway',
              cure: 'name the prefixes of the provider network',
            },
          ]
        : []),
    ]),
  ];
}

/** Without a provider address the overlay would drop every packet for a lookup record. */
function withoutProviderAddress(doc: Either): readonly Problem[] {
  const domains = items<{ readonly NetVirtualizationLookupRecord?: readonly unknown[] | undefined }>(
    doc.RoutingDomain,
    [],
  );
  const records = domains.some(([d]) => (d.NetVirtualizationLookupRecord?.length ?? 0) > 0);
  if (!records || doc.NetVirtualizationProviderAddress === undefined || doc.NetVirtualizationProviderAddress.length > 0)
    return [];
  return [
    {
      code: 'MISSING_KEY',
      path: ['NetVirtualizationProviderAddress'],
      problem: 'there are lookup records but no provider address to send from',
      cure: 'add NetVirtualizationProviderAddress',
    },
  ];
}
