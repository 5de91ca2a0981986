/** NetNat: whom each instance is for, and whether its addresses are where they must be (R-NAT-1, R-NAT-4). */
import type { Address } from '../../lib/address.ts';
import { contains } from '../../lib/prefix.ts';
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import { MAX_POLICY_ADDRESSES, MAX_POLICY_CHOICES, MAX_POLICY_RULES } from '../schema/nat.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { ownAddresses } from './addresses.ts';
import { unknownReference } from './names.ts';
import { externalClaims } from './nat-claims.ts';
import { type Instance, instances, type NetNatYaml, type Tenants, tenantOf, tenantsOf } from './nat-tenants.ts';
import { duplicates, items, type LineOf } from './uses.ts';

export function natProblems(doc: Partly<GatewayFile>, lineOf: LineOf): readonly Problem[] {
  const all = instances(doc);
  if (!all.length) return [];
  const tenants = tenantsOf(doc);
  return [
    ...duplicates(
      'the NetNat',
      all.map(({ nat, path }) => ({ key: nat.Name, path: [...path, 'Name'] })),
      lineOf,
      'rename one of the two',
    ),
    ...owners(all, tenants, lineOf),
    ...all.flatMap((i) => [...adapter(doc, i), ...policy(i, tenants), ...quotas(i, tenants, lineOf)]),
    ...tenantProblems(all, tenants),
    ...externalClaims(doc, all, tenants, lineOf),
    ...inside(doc, all, tenants, lineOf),
  ];
}

/** One instance for a tenant, one for all others. */
const owners = (all: readonly Instance[], tenants: Tenants, lineOf: LineOf): readonly Problem[] =>
  duplicates(
    'the NetNat of',
    all.map(({ nat, path }) => {
      if (nat.RoutingDomain === undefined && nat.InternalRoutingDomainId === undefined)
        return { key: 'RoutingDomain' in nat || 'InternalRoutingDomainId' in nat ? undefined : 'every tenant', path };
      const name = tenants.nameOf(tenantOf(nat, tenants));
      return {
        key: name,
        path: [...path, nat.RoutingDomain === undefined ? 'InternalRoutingDomainId' : 'RoutingDomain'],
      };
    }),
    lineOf,
    'put the two together, or name another tenant',
    'CONFLICT',
  );

/** The prefix leads to an external adapter. */
function adapter(doc: Partly<GatewayFile>, { nat, path }: Instance): readonly Problem[] {
  const prefix = nat.ExternalIPInterfaceAddressPrefix;
  const readable = doc.NetAdapter?.every((a) => a?.Role && !('IPAddress' in a && !a.IPAddress));
  if (!prefix || !readable) return [];
  if (ownAddresses(doc).some((a) => a.role === 'External' && contains(prefix, a.key))) return [];
  return [
    {
      code: 'UNKNOWN_REFERENCE',
      path: [...path, 'ExternalIPInterfaceAddressPrefix'],
      problem: `${prefix} holds the IPAddress of no NetAdapter with the role External`,
      cure: 'write the prefix of such an adapter, or give the adapter its IPAddress',
    },
  ];
}

/** What is wrong with naming a tenant at each place that names one. */
const tenantProblems = (all: readonly Instance[], tenants: Tenants): readonly Problem[] =>
  all.flatMap((i) => {
    const { nat, path } = i;
    return [
      ...tenants.problems(nat, path),
      ...i.users.flatMap(([user, at]) => {
        const found = tenants.problems(user, at);
        return found.length ? found : tenants.outside(i, user, at);
      }),
      ...items(nat.NetNatExternalAddress, [...path, 'NetNatExternalAddress']).flatMap(([a, at]) =>
        items(a.RoutingDomain, [...at, 'RoutingDomain']).flatMap(([name, where]) =>
          tenants.idOf(name) === undefined
            ? [unknownReference(where, 'RoutingDomain', name, tenants.names)]
            : tenants.outside(i, { RoutingDomain: name }, at),
        ),
      ),
    ];
  });

type Rule = NonNullable<NonNullable<NetNatYaml['NetNatPolicy']>[number]>;

/** Addresses that a rule chooses from exist, and the tenants that it is for may use them. */
function ruleAddresses({ nat }: Instance, r: Rule, at: Path): readonly Problem[] {
  const own = items(nat.NetNatExternalAddress, []).map(([a]) => a);
  return items(r.ExternalIPAddress, [...at, 'ExternalIPAddress']).flatMap(([address, path]): readonly Problem[] => {
    if (r.Action !== undefined && r.Action !== 'Translate')
      return [
        {
          code: 'CONFLICT',
          path,
          problem: `a rule with the action ${r.Action} chooses no address`,
          cure: 'remove ExternalIPAddress, or write Action: Translate',
        },
      ];
    const ranges = own.filter((a) => a.IPAddress === address);
    if (!ranges.length) {
      const known = own.flatMap((a) => a.IPAddress ?? []);
      return [unknownReference(path, 'NetNatExternalAddress', address, known)];
    }
    const usable = ranges.some((a) => !a.RoutingDomain || a.RoutingDomain.includes(r.RoutingDomain));
    if (usable || r.RoutingDomain === undefined) return [];
    return [
      {
        code: 'CONFLICT',
        path,
        problem: `${address} is not for ${r.RoutingDomain}`,
        cure: `add ${r.RoutingDomain} to the RoutingDomain of the NetNatExternalAddress`,
      },
    ];
  });
}

/** What the data plane has room for. */
function policyLimits({ path }: Instance, rules: readonly (readonly [Rule, Path])[], names: readonly string[]) {
  const of = (name: string) => rules.filter(([r]) => r.RoutingDomain === undefined || r.RoutingDomain === name);
  const choices = (name: string) =>
    new Set(of(name).flatMap(([r]) => (r.ExternalIPAddress?.length ? r.ExternalIPAddress.toSorted().join(' ') : [])));
  const tooLarge = (at: Path, problem: string, cure: string): Problem => ({
    code: 'TOO_LARGE',
    path: at,
    problem,
    cure,
  });
  const most = Math.max(0, ...names.map((name) => of(name).length));
  const different = Math.max(0, ...names.map((name) => choices(name).size));
  const all = [...path, 'NetNatPolicy'];
  return [
    ...rules.flatMap(([r, at]) =>
      (r.ExternalIPAddress?.length ?? 0) > MAX_POLICY_ADDRESSES
        ? [
            tooLarge(
              [...at, 'ExternalIPAddress'],
              `${r.ExternalIPAddress?.length} addresses are more than ${MAX_POLICY_ADDRESSES}`,
              'choose from fewer',
            ),
          ]
        : [],
    ),
    ...(most > MAX_POLICY_RULES
      ? [tooLarge(all, `${most} rules for one tenant are more than ${MAX_POLICY_RULES}`, 'put prefixes together')]
      : []),
    ...(different > MAX_POLICY_CHOICES
      ? [
          tooLarge(
            all,
            `${different} different choices of addresses for one tenant are more than ${MAX_POLICY_CHOICES}`,
            'let more rules choose from the same addresses',
          ),
        ]
      : []),
  ];
}

function policy(i: Instance, tenants: Tenants): readonly Problem[] {
  const rules = items(i.nat.NetNatPolicy, [...i.path, 'NetNatPolicy']);
  return [
    ...rules.flatMap(([r, at]) => [
      ...tenants.problems(r, at),
      ...(r.RoutingDomain === undefined || tenants.problems(r, at).length ? [] : tenants.outside(i, r, at)),
      ...ruleAddresses(i, r, at),
    ]),
    ...policyLimits(i, rules, tenants.names),
  ];
}

function quotas(i: Instance, tenants: Tenants, lineOf: LineOf): readonly Problem[] {
  const limits = items(i.nat.NetNatQuota, [...i.path, 'NetNatQuota']);
  const uses = limits.map(([q, at]) => {
    if (q.RoutingDomain === undefined) return { key: 'RoutingDomain' in q ? undefined : 'every tenant', path: at };
    return { key: tenants.idOf(q.RoutingDomain) && q.RoutingDomain, path: [...at, 'RoutingDomain'] };
  });
  return [
    ...limits.flatMap(([q, at]) => {
      const found = tenants.problems(q, at);
      return q.RoutingDomain === undefined || found.length ? found : tenants.outside(i, q, at);
    }),
    ...duplicates('the NetNatQuota of', uses, lineOf, 'keep one of the two'),
  ];
}

/** Inside addresses are hosts of the tenant, not this gateway, and each host has one address of its own at most. */
function inside(
  doc: Partly<GatewayFile>,
  all: readonly Instance[],
  tenants: Tenants,
  lineOf: LineOf,
): readonly Problem[] {
  const own = (tenant: string | undefined): readonly (Address | undefined)[] =>
    items(doc.RoutingDomain, []).flatMap(([d]) =>
      tenant !== undefined && d.Name === tenant
        ? items(d.VMNetworkAdapterRoutingDomainMapping, []).flatMap(([i]) =>
            items(i.IPAddress, []).map(([a]) => a.address),
          )
        : [],
    );
  const problems = all.flatMap((i) =>
    i.hosts.flatMap(({ address, tenant, path }): readonly Problem[] => {
      const name = tenants.nameOf(tenant);
      if (own(name).includes(address))
        return [
          {
            code: 'CONFLICT',
            path,
            problem: `${address} is the address of an internal interface of ${name}`,
            cure: 'write the address of a host behind it',
          },
        ];
      const prefix = i.nat.ExternalIPInterfaceAddressPrefix;
      if (!prefix || !contains(prefix, address)) return [];
      return [
        {
          code: 'CONFLICT',
          path,
          problem: `${address} lies in ${prefix}, which is outside`,
          cure: 'write the address that the host has in the VM network',
        },
      ];
    }),
  );
  const oneToOne = all.flatMap((i) =>
    items(i.nat.NetNatOneToOneMapping, [...i.path, 'NetNatOneToOneMapping']).map(([m, at]) => {
      const name = tenants.nameOf(tenantOf(m, tenants) ?? tenantOf(i.nat, tenants));
      return {
        key: name && m.InternalIPAddress && `${m.InternalIPAddress} of ${name}`,
        path: [...at, 'InternalIPAddress'],
      };
    }),
  );
  const backends = all.flatMap((i) =>
    items(i.nat.LoadBalancingRule, [...i.path, 'LoadBalancingRule']).flatMap(([r, at]) =>
      duplicates(
        'the DIP',
        items(r.DIP, [...at, 'DIP']).map(([d, where]) => ({ key: d.IPAddress, path: [...where, 'IPAddress'] })),
        lineOf,
        'keep one; Weight gives it a larger share',
      ),
    ),
  );
  return [
    ...problems,
    ...duplicates('a one-to-one mapping of', oneToOne, lineOf, 'a host has one: remove one of the two'),
    ...backends,
    ...duplicates(
      'the LoadBalancingRule',
      all.flatMap((i) =>
        items(i.nat.LoadBalancingRule, [...i.path, 'LoadBalancingRule']).map(([r, at]) => ({
          key: r.Name,
          path: [...at, 'Name'],
        })),
      ),
      lineOf,
      'rename one of the two',
    ),
  ];
}
