/** Names and ids: unique where they must be, and what refers to them finds them. */
import type { Path, Problem } from '../error.ts';
import { nearest } from '../nearest.ts';
import type { Partly } from '../read.ts';
import { quoted } from '../schema/field.ts';
import type { GatewayFile, HostFile } from '../schema/roots.ts';
import { duplicates, items, type LineOf, type Use } from './uses.ts';

type Either = Partly<GatewayFile> | Partly<HostFile>;
type Domain = NonNullable<NonNullable<Partly<GatewayFile>['RoutingDomain']>[number]>;

const RENAME = 'rename one of the two';

/** Names of adapters and tenants; the same on gateways and hosts. */
export function sharedNames(doc: Either, lineOf: LineOf): readonly Problem[] {
  const adapters = items(doc.NetAdapter, ['NetAdapter']);
  const domains = items<{ readonly Name?: string | undefined; readonly RoutingDomainID?: string | undefined }>(
    doc.RoutingDomain,
    ['RoutingDomain'],
  );
  return [
    ...duplicates(
      'the adapter',
      adapters.map(([a, p]) => ({ key: a.InterfaceAlias, path: [...p, 'InterfaceAlias'] })),
      lineOf,
      RENAME,
    ),
    ...duplicates(
      'the device',
      adapters.map(([a, p]) => ({ key: a.Device, path: [...p, 'Device'] })),
      lineOf,
      'describe each device once',
    ),
    ...duplicates(
      'the routing domain',
      domains.map(([d, p]) => ({ key: d.Name, path: [...p, 'Name'] })),
      lineOf,
      RENAME,
    ),
    ...duplicates(
      'the id',
      domains.map(([d, p]) => ({ key: d.RoutingDomainID, path: [...p, 'RoutingDomainID'] })),
      lineOf,
      'give each routing domain an id of its own',
    ),
    ...providerReferences(doc),
  ];
}

export function unknownReference(path: Path, what: string, name: string, known: readonly string[]): Problem {
  const meant = nearest(name, known);
  return {
    code: 'UNKNOWN_REFERENCE',
    path,
    problem: `there is no ${what} ${quoted(name)}`,
    cure: meant
      ? `did you mean ${meant}?`
      : known.length
        ? `there is ${[...new Set(known)].join(', ')}`
        : `define the ${what} first`,
  };
}

function providerReferences(doc: Either): readonly Problem[] {
  const adapters = items(doc.NetAdapter, ['NetAdapter']).map(([a]) => a);
  const known = adapters.flatMap((a) => a.InterfaceAlias ?? []);
  const references = [
    ...items(doc.NetVirtualizationProviderAddress, ['NetVirtualizationProviderAddress']),
    ...items(doc.NetVirtualizationProviderRoute, ['NetVirtualizationProviderRoute']),
  ];
  return references.flatMap(([r, p]): readonly Problem[] => {
    if (r.InterfaceAlias === undefined) return [];
    const path = [...p, 'InterfaceAlias'];
    const adapter = adapters.find((a) => a.InterfaceAlias === r.InterfaceAlias);
    if (!adapter) return [unknownReference(path, 'NetAdapter', r.InterfaceAlias, known)];
    if (adapter.Role === undefined || adapter.Role === 'Provider') return [];
    return [
      {
        code: 'CONFLICT',
        path,
        problem: `the adapter ${r.InterfaceAlias} has the role ${adapter.Role}, not Provider`,
        cure: 'choose an adapter with the role Provider',
      },
    ];
  });
}

const interfacesOf = (d: Domain, path: Path): readonly Use[] => [
  ...items(d.VMNetworkAdapterRoutingDomainMapping, [...path, 'VMNetworkAdapterRoutingDomainMapping']).map(([i, p]) => ({
    key: i.IsolationName,
    path: [...p, 'IsolationName'],
  })),
  ...items(d.VpnS2SInterface, [...path, 'VpnS2SInterface']).map(([i, p]) => ({ key: i.Name, path: [...p, 'Name'] })),
];

/** Names of the interfaces of compartments, and the routes that name them. */
export function compartmentNames(doc: Partly<GatewayFile>, lineOf: LineOf): readonly Problem[] {
  const domains = items(doc.RoutingDomain, ['RoutingDomain']);
  const inside = domains.flatMap(([d, path]) => {
    const uses = interfacesOf(d, path);
    const known = uses.flatMap((u) => (u.key === undefined ? [] : [String(u.key)]));
    const lost = items(d.NetRoute, [...path, 'NetRoute']).flatMap(([r, p]) =>
      r.InterfaceAlias === undefined || known.includes(r.InterfaceAlias)
        ? []
        : [unknownReference([...p, 'InterfaceAlias'], 'interface', r.InterfaceAlias, known)],
    );
    return [...duplicates('an interface', uses, lineOf, RENAME), ...lost];
  });
  // A tunnel's interface is made in the default compartment before it is moved, so its name must be free there too.
  const devices = items(doc.NetAdapter, ['NetAdapter']).map(([a, p]) => ({ key: a.Device, path: [...p, 'Device'] }));
  const tunnels = domains.flatMap(([d, path]) =>
    items(d.VpnS2SInterface, [...path, 'VpnS2SInterface']).map(([i, p]) => ({ key: i.Name, path: [...p, 'Name'] })),
  );
  const known = new Set(devices.map((d) => d.key));
  return [
    ...inside,
    ...duplicates(
      'a VpnS2SInterface',
      tunnels,
      lineOf,
      'names of tunnels are unique on the gateway: rename one of the two',
    ),
    ...tunnels.flatMap((t): readonly Problem[] =>
      t.key !== undefined && known.has(t.key)
        ? [
            {
              code: 'CONFLICT',
              path: t.path,
              problem: `${t.key} is the device of a NetAdapter`,
              cure: 'rename the tunnel',
            },
          ]
        : [],
    ),
  ];
}

/** A device is the port of one VM, and no adapter of the host. */
export const portDevices = (doc: Partly<HostFile>, lineOf: LineOf): readonly Problem[] =>
  duplicates(
    'the device',
    [
      ...items(doc.NetAdapter, ['NetAdapter']).map(([a, p]) => ({ key: a.Device, path: [...p, 'Device'] })),
      ...items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]) =>
        items(d.VMNetworkAdapter, [...path, 'VMNetworkAdapter']).map(([v, p]) => ({
          key: v.Device,
          path: [...p, 'Device'],
        })),
      ),
    ],
    lineOf,
    'give each port a device of its own',
  );
