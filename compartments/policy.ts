/**
 * Rules over the overlay policy of VM networks that hold on gateways and hosts alike (R-POL-2, R-ENC-2, R-ENC-4, R-ENC-9).
 * Pure; the paths are those of the runtime shape, beginning with the index of the VM network: `[1, 'lookupRecords', 3, 'mac']`.
 */
import { type Address, familyOf, type Mac, macBytes } from '../lib/address.ts';
import { covering, prefixFamily, routerOf } from '../lib/prefix.ts';
import type { CustomerRoute, LookupRecordType, Vsid } from './compartment.ts';
import { type PolicyDomain, type PolicyPath, type PolicyProblem, ROUTER_MAC } from './policy-domain.ts';
import { gatewayProblems } from './policy-gateway.ts';
import { plainProblems } from './policy-plain.ts';
import { subnetProblems } from './policy-subnets.ts';

export { type PolicyDomain, ROUTER_MAC } from './policy-domain.ts';

/** An address or MAC that something in the VM network holds. */
interface Holder {
  readonly path: PolicyPath;
  readonly name: string;
  readonly vsid: Vsid;
  readonly mac: Mac;
  readonly addresses: readonly { readonly address: Address; readonly path: PolicyPath }[];
  /** Where it is: two holders with one MAC are one machine only when this is the same. */
  readonly place: string;
  readonly record: boolean;
  readonly type?: LookupRecordType;
}

/** L2Only records tell where a MAC is, wildcards where a gateway is; their address is a placeholder (R-ENC-8, R-ENC-9). */
const recordHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  d.lookupRecords.map((r, i) => {
    const path = [index, 'lookupRecords', i];
    return {
      path,
      name: `lookup record ${r.customerAddress}`,
      vsid: r.vsid,
      mac: r.mac,
      addresses:
        r.type === 'L2Only' || r.type === 'GatewayWildcard'
          ? []
          : [{ address: r.customerAddress, path: [...path, 'customerAddress'] }],
      place: r.providerAddress,
      record: true,
      type: r.type,
    };
  });

const interfaceHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  (d.internalInterfaces ?? []).map((n, i) => {
    const path = [index, 'internalInterfaces', i];
    return {
      path,
      name: `internal interface ${n.name}`,
      vsid: n.vsid,
      mac: n.mac,
      addresses: n.addresses.map((a, j) => ({ address: a.address, path: [...path, 'addresses', j, 'address'] })),
      place: `interface ${n.name}`,
      record: false,
    };
  });

const portHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  (d.ports ?? []).map((p, i) => {
    const path = [index, 'ports', i];
    return {
      path,
      name: `port ${p.name}`,
      vsid: p.vsid,
      mac: p.mac,
      addresses: p.addresses.map((address, j) => ({ address, path: [...path, 'addresses', j] })),
      place: `port ${p.device}`,
      record: false,
    };
  });

/** A VM that moved is learned at its new place while the L2Only record still tells the former one. */
const mayDiffer = (a: Holder, b: Holder): boolean =>
  (a.type === 'L2Only' && b.type === 'Dynamic') || (a.type === 'Dynamic' && b.type === 'L2Only');

/**
 * Address and MAC are unique in a VM network. A record and the local port or interface that it describes are the same thing:
 * every host is given the records of its own VMs too.
 */
function uniqueness(holders: readonly Holder[]): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const byAddress = new Map<Address, Holder>();
  const byMac = new Map<Mac, Holder>();
  for (const h of holders) {
    for (const { address, path } of h.addresses) {
      const other = byAddress.get(address);
      const described = other && other.record !== h.record && other.mac === h.mac && other.vsid === h.vsid;
      if (other && !described)
        problems.push({
          path,
          problem: `${address} is already held by ${other.name} in this VM network`,
          cure: 'Give each customer address to one adapter; remove one of the two.',
        });
      else if (!other) byAddress.set(address, h);
    }
    const twin = byMac.get(h.mac);
    if (h.mac === ROUTER_MAC) continue;
    if (!twin) byMac.set(h.mac, h);
    else if (twin.vsid !== h.vsid || (twin.record === h.record && twin.place !== h.place && !mayDiffer(twin, h)))
      problems.push({
        path: [...h.path, 'mac'],
        problem: `MAC ${h.mac} is already used by ${twin.name} in this VM network`,
        cure: 'Give each adapter a MAC of its own.',
      });
  }
  return problems;
}

function reservedAddresses(d: PolicyDomain, holders: readonly Holder[]): readonly PolicyProblem[] {
  const onLink = d.customerRoutes
    .filter((r) => r.nextHop === undefined)
    .map(({ vsid, destinationPrefix }) => ({
      vsid,
      destinationPrefix,
      covers: covering(destinationPrefix),
      router: routerOf(destinationPrefix),
    }));
  const problems: PolicyProblem[] = [];
  for (const h of holders) {
    const unusable = h.mac === ROUTER_MAC ? !h.record : (macBytes(h.mac)[0]! & 1) === 1 || /^[0:]+$/.test(h.mac);
    if (unusable)
      problems.push({
        path: [...h.path, 'mac'],
        problem: `MAC ${h.mac} is reserved, zero or a group address`,
        cure: 'Choose a unicast MAC of the adapter itself.',
      });
    for (const { address, path } of h.addresses) {
      if (h.record && /^[0:.]+$/.test(address))
        problems.push({
          path,
          problem: `${address} is no address of an adapter`,
          cure: 'Write its address, or the type L2Only when it is not known.',
        });
      const subnet = onLink.find((r) => r.vsid === h.vsid && r.covers(address));
      const router = subnet?.router === address;
      if (router && !(h.record && h.mac === ROUTER_MAC))
        problems.push({
          path,
          problem: `${address} is reserved for the distributed router of ${subnet.destinationPrefix}`,
          cure: 'Use another address of the subnet; the first one belongs to the router.',
        });
      else if (h.mac === ROUTER_MAC && !router)
        problems.push({
          path,
          problem: `MAC ${ROUTER_MAC} belongs to the distributed router, ${address} does not`,
          cure: 'Give the adapter its own MAC.',
        });
    }
  }
  return problems;
}

function routeProblems(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const seen = new Map<string, CustomerRoute>();
  d.customerRoutes.forEach((r, i) => {
    const key = `${r.destinationPrefix} ${r.metric}`;
    if (seen.has(key))
      problems.push({
        path: [index, 'customerRoutes', i, 'destinationPrefix'],
        problem: `customer route ${r.destinationPrefix} is already there with metric ${r.metric}`,
        cure: 'Remove one of the two, or give it another metric.',
      });
    else seen.set(key, r);
    if (r.nextHop !== undefined && familyOf(r.nextHop) !== prefixFamily(r.destinationPrefix))
      problems.push({
        path: [index, 'customerRoutes', i, 'nextHop'],
        problem: `${r.nextHop} and ${r.destinationPrefix} are of different families`,
        cure: 'Use IPv4 with IPv4, IPv6 with IPv6.',
      });
  });
  return problems;
}

/** Every virtual subnet id with the paths that name it. */
function vsidsOf(d: PolicyDomain, index: number): readonly { vsid: Vsid; path: PolicyPath }[] {
  const at = (list: string, items: readonly { vsid: Vsid }[]) =>
    items.map((x, i) => ({ vsid: x.vsid, path: [index, list, i, 'vsid'] }));
  return [
    ...at('internalInterfaces', d.internalInterfaces ?? []),
    ...at('ports', d.ports ?? []),
    ...at('customerRoutes', d.customerRoutes),
    ...at('lookupRecords', d.lookupRecords),
    ...at('virtualSubnets', d.virtualSubnets ?? []),
  ];
}

/** All problems of all VM networks, in the order of the networks. */
export function policyProblems(domains: readonly PolicyDomain[]): readonly PolicyProblem[] {
  const owner = new Map<Vsid, PolicyDomain>();
  const each = domains.flatMap((d, index) => {
    const holders = [...interfaceHolders(d, index), ...portHolders(d, index), ...recordHolders(d, index)];
    const reported = new Set<Vsid>();
    const stolen = vsidsOf(d, index).flatMap(({ vsid, path }) => {
      const first = owner.get(vsid) ?? d;
      owner.set(vsid, first);
      if (first === d || reported.has(vsid)) return [];
      reported.add(vsid);
      return [
        {
          path,
          problem: `virtual subnet ${vsid} already belongs to routing domain ${first.routingDomain}`,
          cure: 'Use a virtual subnet id that no other routing domain has.',
        },
      ];
    });
    return [
      ...stolen,
      ...uniqueness(holders),
      ...reservedAddresses(d, holders),
      ...gatewayProblems(d, index),
      ...subnetProblems(d, index),
      ...routeProblems(d, index),
    ];
  });
  return [...each, ...plainProblems(domains)];
}
