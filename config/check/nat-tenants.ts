/** Tenants as NetNat names them: by name or by id, and by the instance where it is of one tenant. */
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import type { Address } from '../../lib/address.ts';
import type { Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { unknownReference } from './names.ts';
import { items } from './uses.ts';

export type NetNatYaml = NonNullable<NonNullable<Partly<GatewayFile>['NetNat']>[number]>;

/** Whatever names a tenant. */
export interface NamesTenant {
  readonly RoutingDomain?: string | undefined;
  readonly InternalRoutingDomainId?: RoutingDomainId | undefined;
}

/** A place where a host of a tenant stands. */
export interface Host {
  readonly address: Address;
  readonly tenant: RoutingDomainId | undefined;
  readonly path: Path;
}

export interface Instance {
  readonly nat: NetNatYaml;
  readonly path: Path;
  /** Items that must name a tenant, or leave it to the instance. */
  readonly users: readonly (readonly [NamesTenant, Path])[];
  readonly hosts: readonly Host[];
}

export interface Tenants {
  readonly names: readonly string[];
  idOf(name: string): RoutingDomainId | undefined;
  nameOf(id: RoutingDomainId | undefined): string | undefined;
  /** A name or id that is not known, or both at once. */
  problems(user: NamesTenant, path: Path): readonly Problem[];
  /** A tenant that the instance is not for, or none where the instance is for all. */
  outside(instance: Instance, user: NamesTenant, path: Path): readonly Problem[];
}

/** Undefined = none is named, or one that is not known. */
export const tenantOf = (user: NamesTenant, tenants: Pick<Tenants, 'idOf'>): RoutingDomainId | undefined =>
  user.RoutingDomain === undefined ? user.InternalRoutingDomainId : tenants.idOf(user.RoutingDomain);

const namesOne = (user: NamesTenant): boolean => 'RoutingDomain' in user || 'InternalRoutingDomainId' in user;

export function tenantsOf(doc: Partly<GatewayFile>): Tenants {
  const domains = items(doc.RoutingDomain, []).map(([d]) => d);
  const names = domains.flatMap((d) => d.Name ?? []);
  const ids = domains.flatMap((d) => d.RoutingDomainID ?? []);
  const tenants: Tenants = {
    names,
    idOf: (name) => domains.find((d) => d.Name === name)?.RoutingDomainID,
    nameOf: (id) => (id === undefined ? undefined : domains.find((d) => d.RoutingDomainID === id)?.Name),
    problems(user, path) {
      const { RoutingDomain: name, InternalRoutingDomainId: id } = user;
      if (name !== undefined && id !== undefined)
        return [
          {
            code: 'CONFLICT',
            path: [...path, 'InternalRoutingDomainId'],
            problem: 'the tenant is named twice',
            cure: 'keep RoutingDomain or InternalRoutingDomainId',
          },
        ];
      if (name !== undefined && !names.includes(name))
        return [unknownReference([...path, 'RoutingDomain'], 'RoutingDomain', name, names)];
      if (id !== undefined && !ids.includes(id))
        return [unknownReference([...path, 'InternalRoutingDomainId'], 'RoutingDomainID', id, ids)];
      return [];
    },
    outside({ nat }, user, path) {
      const [own, named] = [tenantOf(nat, tenants), tenantOf(user, tenants)];
      if (named === undefined) {
        if (namesOne(user) || namesOne(nat)) return [];
        return [
          {
            code: 'MISSING_KEY',
            path: [...path, 'RoutingDomain'],
            problem: 'the instance is for every tenant, so this must name one',
            cure: 'add RoutingDomain',
          },
        ];
      }
      const at = [...path, user.RoutingDomain === undefined ? 'InternalRoutingDomainId' : 'RoutingDomain'];
      const other = items(doc.NetNat, [])
        .map(([n]) => n)
        .find((n) => n !== nat && tenantOf(n, tenants) === named);
      if (own === undefined ? !other || namesOne(nat) : own === named) return [];
      const name = tenants.nameOf(named) ?? named;
      return [
        {
          code: 'CONFLICT',
          path: at,
          problem: other?.Name
            ? `${name} uses the NetNat ${other.Name}, not this one`
            : `the instance is for ${tenants.nameOf(own) ?? own} only`,
          cure: 'move this to the instance of the tenant',
        },
      ];
    },
  };
  return tenants;
}

export function instances(doc: Partly<GatewayFile>): readonly Instance[] {
  const tenants = tenantsOf(doc);
  return items(doc.NetNat, ['NetNat']).map(([nat, path]) => {
    const own = tenantOf(nat, tenants);
    const statics = items(nat.NetNatStaticMapping, [...path, 'NetNatStaticMapping']);
    const oneToOne = items(nat.NetNatOneToOneMapping, [...path, 'NetNatOneToOneMapping']);
    const rules = items(nat.LoadBalancingRule, [...path, 'LoadBalancingRule']);
    const mappings = [...statics, ...oneToOne];
    const host = (user: NamesTenant, address: Address | undefined, at: Path): readonly Host[] =>
      address ? [{ address, tenant: tenantOf(user, tenants) ?? own, path: at }] : [];
    return {
      nat,
      path,
      users: [...mappings, ...rules],
      hosts: [
        ...mappings.flatMap(([m, at]) => host(m, m.InternalIPAddress, [...at, 'InternalIPAddress'])),
        ...rules.flatMap(([r, at]) =>
          items(r.DIP, [...at, 'DIP']).flatMap(([d, where]) => host(r, d.IPAddress, [...where, 'IPAddress'])),
        ),
      ],
    };
  });
}
