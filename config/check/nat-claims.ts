/**
 * Who uses what of the external addresses: port ranges, ports of static mappings and VIPs, whole addresses of one-to-one
 * mappings. Nothing is given twice, and nothing that the gateway itself needs (R-NAT-2, R-NAT-4).
 */
import { GATEWAY_PORTS, NAT_ROOM } from '../../compartments/nat.ts';
import type { Address } from '../../lib/address.ts';
import { contains, lengthOf, networkOf } from '../../lib/prefix.ts';
import type { ConfigErrorCode, Path, Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { ownAddresses } from './addresses.ts';
import type { Instance, Tenants } from './nat-tenants.ts';
import { duplicates, items, type LineOf, repeated } from './uses.ts';

type Doc = Partly<GatewayFile>;

interface Claim {
  readonly address: Address;
  readonly path: Path; // of the address
}
interface PortClaim extends Claim {
  readonly protocol: string | undefined;
  readonly port: number | undefined;
  readonly portPath: Path;
}
interface Range extends Claim {
  readonly start: number;
  readonly end: number;
  readonly endPath: Path;
}

const problem = (code: ConfigErrorCode, path: Path, text: string, cure: string): Problem => ({
  code,
  path,
  problem: text,
  cure,
});

const rangesOf = ({ nat, path }: Instance): readonly Range[] =>
  items(nat.NetNatExternalAddress, [...path, 'NetNatExternalAddress']).flatMap(([a, at]) =>
    a.IPAddress && a.PortStart !== undefined && a.PortEnd !== undefined
      ? [
          {
            address: a.IPAddress,
            path: [...at, 'IPAddress'],
            start: a.PortStart,
            end: a.PortEnd,
            endPath: [...at, 'PortEnd'],
          },
        ]
      : [],
  );

const portsOf = ({ nat, path }: Instance): readonly PortClaim[] => [
  ...items(nat.NetNatStaticMapping, [...path, 'NetNatStaticMapping']).flatMap(([m, at]) =>
    m.ExternalIPAddress
      ? [
          {
            address: m.ExternalIPAddress,
            path: [...at, 'ExternalIPAddress'],
            protocol: m.Protocol,
            port: m.ExternalPort,
            portPath: [...at, 'ExternalPort'],
          },
        ]
      : [],
  ),
  ...items(nat.LoadBalancingRule, [...path, 'LoadBalancingRule']).flatMap(([r, at]) =>
    r.FrontendIPAddress
      ? [
          {
            address: r.FrontendIPAddress,
            path: [...at, 'FrontendIPAddress'],
            protocol: r.Protocol,
            port: r.FrontendPort,
            portPath: [...at, 'FrontendPort'],
          },
        ]
      : [],
  ),
];

const wholeOf = ({ nat, path }: Instance): readonly Claim[] =>
  items(nat.NetNatOneToOneMapping, [...path, 'NetNatOneToOneMapping']).flatMap(([m, at]) =>
    m.ExternalIPAddress ? [{ address: m.ExternalIPAddress, path: [...at, 'ExternalIPAddress'] }] : [],
  );

export function externalClaims(
  doc: Doc,
  all: readonly Instance[],
  tenants: Tenants,
  lineOf: LineOf,
): readonly Problem[] {
  const [ranges, ports, whole] = [all.flatMap(rangesOf), all.flatMap(portsOf), all.flatMap(wholeOf)];
  return [
    ...all.flatMap((i) => [...rangesOf(i), ...portsOf(i), ...wholeOf(i)].flatMap((c) => place(doc, i, c))),
    ...ranges.flatMap((r) => order(r)),
    ...overlaps(ranges, lineOf),
    ...ports.flatMap((p) => gatewayPort(doc, p)),
    ...duplicates(
      'the mapping of',
      ports.map(({ address, protocol, port, portPath }) => ({
        key: protocol && port && `${protocol} ${address}:${port}`,
        path: portPath,
      })),
      lineOf,
      'give each mapping and VIP a port of its own',
    ),
    ...wholeAddresses(doc, whole, [...ranges, ...ports], lineOf),
    ...shares(all, tenants),
    ...room(all, tenants),
  ];
}

/** An address of ours lies on the prefix and is nobody's else. */
function place(doc: Doc, { nat }: Instance, { address, path }: Claim): readonly Problem[] {
  const prefix = nat.ExternalIPInterfaceAddressPrefix;
  if (prefix && !contains(prefix, address))
    return [
      problem(
        'CONFLICT',
        path,
        `${address} does not lie in ${prefix}, the ExternalIPInterfaceAddressPrefix`,
        'choose an address of it',
      ),
    ];
  if (prefix && lengthOf(prefix) < 31 && address === networkOf(prefix))
    return [
      problem('CONFLICT', path, `${address} is the network ${prefix} itself`, 'choose the address of a host in it'),
    ];
  const gateway = items(doc.NetAdapter, []).find(([a]) => a.DefaultGateway === address);
  if (gateway)
    return [
      problem('CONFLICT', path, `${address} is the DefaultGateway`, 'choose an address that is routed to this machine'),
    ];
  const own = ownAddresses(doc).find((a) => a.key === address);
  if (own?.role && own.role !== 'External')
    return [
      problem(
        'CONFLICT',
        path,
        `${address} is an address of the role ${own.role}`,
        'choose an address of the external side',
      ),
    ];
  return [];
}

const order = ({ start, end, endPath }: Range): readonly Problem[] =>
  end > start ? [] : [problem('BAD_VALUE', endPath, `${end} is not above PortStart, ${start}`, 'write a higher port')];

const overlaps = (ranges: readonly Range[], lineOf: LineOf): readonly Problem[] =>
  ranges.flatMap((r, i) => {
    const other = ranges.slice(0, i).find((o) => o.address === r.address && o.start <= r.end && r.start <= o.end);
    if (!other) return [];
    return [
      problem(
        'CONFLICT',
        r.path,
        `ports ${r.start} to ${r.end} of ${r.address} overlap with ${other.start} to ${other.end} in line ${lineOf(other.path)}`,
        'give each a port range of its own',
      ),
    ];
  });

/** Of the addresses that the gateway itself uses. */
function gatewayPort(doc: Doc, { address, protocol, port, portPath }: PortClaim): readonly Problem[] {
  const use = GATEWAY_PORTS.find((g) => g.protocol === protocol && g.port === port);
  if (!use || !ownAddresses(doc).some((a) => a.key === address)) return [];
  return [
    problem(
      'CONFLICT',
      portPath,
      `${protocol} port ${port} of ${address} belongs to the gateway itself (${use.service})`,
      'choose another port, or another address',
    ),
  ];
}

/** A one-to-one mapping leaves nothing of its address to others. */
function wholeAddresses(
  doc: Doc,
  whole: readonly Claim[],
  others: readonly Claim[],
  lineOf: LineOf,
): readonly Problem[] {
  const twice = repeated(whole.map((w) => ({ ...w, key: w.address })));
  return [
    ...twice.map(({ use, first }) =>
      problem(
        'DUPLICATE',
        use.path,
        `a one-to-one mapping of ${use.key} is already there in line ${lineOf(first.path)}`,
        'give each host an external address of its own',
      ),
    ),
    ...whole.flatMap((w) => {
      if (ownAddresses(doc).some((a) => a.key === w.address))
        return [
          problem(
            'CONFLICT',
            w.path,
            `${w.address} is the gateway's own`,
            'choose an address that is used for nothing else',
          ),
        ];
      const other = others.find((o) => o.address === w.address);
      if (!other) return [];
      return [
        problem(
          'CONFLICT',
          w.path,
          `${w.address} is used in line ${lineOf(other.path)} too`,
          'choose an address that is used for nothing else',
        ),
      ];
    }),
  ];
}

/** Every tenant can have one block at least. */
function shares(all: readonly Instance[], tenants: Tenants): readonly Problem[] {
  return all.flatMap(({ nat, path }): readonly Problem[] => {
    const size = nat.PortBlockSize;
    const addresses = items(nat.NetNatExternalAddress, []).map(([a]) => a);
    const whole = addresses.every((a) => a.PortStart !== undefined && a.PortEnd !== undefined);
    if (size === undefined || !whole || !addresses.length) return [];
    const blocks = addresses.reduce((n, a) => n + Math.ceil(Math.max(0, a.PortEnd! - a.PortStart! + 1) / size), 0);
    const users =
      nat.RoutingDomain !== undefined || nat.InternalRoutingDomainId !== undefined ? 1 : tenants.names.length;
    if (users <= blocks) return [];
    return [
      problem(
        'TOO_LARGE',
        [...path, 'NetNatExternalAddress'],
        `${users} tenants are more than the port blocks: ${blocks} of ${size}`,
        'add an external address, or lower PortBlockSize',
      ),
    ];
  });
}

/** All instances together fit into the data plane. */
function room(all: readonly Instance[], tenants: Tenants): readonly Problem[] {
  const blocks = all.flatMap((i) => rangesOf(i).map((r) => ({ ...r, size: i.nat.PortBlockSize ?? 512 })));
  const count = blocks.reduce((n, r) => n + Math.ceil(Math.max(0, r.end - r.start + 1) / r.size), 0);
  const addresses = new Set(all.flatMap((i) => [...portsOf(i), ...wholeOf(i)].map((c) => c.address)));
  for (const r of blocks) addresses.delete(r.address);
  const services = all.flatMap(({ nat, path }) => items(nat.LoadBalancingRule, [...path, 'LoadBalancingRule']));
  const dips = services.flatMap(([r, at]) => items(r.DIP, [...at, 'DIP']));
  const mappings = all.flatMap(({ nat, path }) => items(nat.NetNatStaticMapping, [...path, 'NetNatStaticMapping']));
  const over = (number: number, limit: number, what: string, cure: string): readonly Problem[] =>
    number > limit ? [problem('TOO_LARGE', ['NetNat'], `${number} ${what} are more than ${limit}`, cure)] : [];
  return [
    ...over(tenants.names.length, NAT_ROOM.tenants, 'tenants', 'spread the tenants over more gateways'),
    ...over(
      2 * mappings.length + services.length,
      NAT_ROOM.endpoints,
      'endpoints of static mappings (two each) and load-balancing rules',
      'use one-to-one mappings, or spread the tenants over more gateways',
    ),
    ...over(dips.length, NAT_ROOM.dips, 'DIPs', 'spread the tenants over more gateways'),
    ...over(count, NAT_ROOM.portBlocks, 'port blocks', 'raise PortBlockSize'),
    ...over(
      blocks.length + addresses.size,
      NAT_ROOM.externalAddresses,
      'external addresses and port ranges',
      'spread the tenants over more gateways',
    ),
    ...over(services.length, NAT_ROOM.services, 'load-balancing rules', 'spread the tenants over more gateways'),
  ];
}
