/** Rules about the gateway of a VM network: alone in its virtual subnet, one address, one wildcard (R-POL-2, R-ENC-9). Pure. */
import { familyOf } from '../lib/address.ts';
import { isDefault, prefixFamily } from '../lib/prefix.ts';
import type { CustomerRoute, InternalInterface, Vsid } from './compartment.ts';
import { type PolicyDomain, type PolicyProblem, ROUTER_MAC } from './policy-domain.ts';

/** Each internal interface has a virtual subnet of its own, and nobody else is in it. */
function gatewayAlone(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const gateways = new Map<Vsid, InternalInterface>();
  (d.internalInterfaces ?? []).forEach((n, i) => {
    const other = gateways.get(n.vsid);
    if (other)
      problems.push({
        path: [index, 'internalInterfaces', i, 'vsid'],
        problem: `virtual subnet ${n.vsid} already belongs to internal interface ${other.name}`,
        cure: 'Give each internal interface a virtual subnet of its own.',
      });
    else gateways.set(n.vsid, n);
  });
  if (gateways.size === 0) return problems;
  d.lookupRecords.forEach((r, i) => {
    const gateway = gateways.get(r.vsid);
    const wildcard = r.type === 'GatewayWildcard' && r.mac === gateway?.mac;
    const own = gateway?.addresses.some((a) => a.address === r.customerAddress) || r.mac === ROUTER_MAC || wildcard;
    if (gateway && !own)
      problems.push({
        path: [index, 'lookupRecords', i, 'vsid'],
        problem: `virtual subnet ${r.vsid} belongs to the gateway's ${gateway.name} alone`,
        cure: 'Move the adapter to another virtual subnet.',
      });
  });
  return problems;
}

/** A wildcard stands for all addresses of a family in the gateway's virtual subnet. */
function wildcards(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const seen = new Set<string>();
  const problems: PolicyProblem[] = [];
  for (let i = 0; i < d.lookupRecords.length; i++) {
    const r = d.lookupRecords[i]!;
    if (r.type !== 'GatewayWildcard') continue;
    const path = [index, 'lookupRecords', i, 'customerAddress'];
    const key = `${r.vsid} ${familyOf(r.customerAddress)}`;
    if (!/^[0:.]+$/.test(r.customerAddress))
      problems.push({
        path,
        problem: `a GatewayWildcard record stands for every address, and ${r.customerAddress} is a single one`,
        cure: 'Write 0.0.0.0 or ::, or the type Static.',
      });
    else if (seen.has(key))
      problems.push({
        path,
        problem: `virtual subnet ${r.vsid} already has a GatewayWildcard record`,
        cure: 'Remove one of the two.',
      });
    else seen.add(key);
  }
  return problems;
}

/** What leads out of the VM network leads to one address. */
function oneAddress(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const first = new Map<number, CustomerRoute>();
  return d.customerRoutes.flatMap((r, i): readonly PolicyProblem[] => {
    if (r.nextHop === undefined) return [];
    const path = [index, 'customerRoutes', i, 'nextHop'];
    const own = d.internalInterfaces?.find((n) => n.vsid === r.vsid);
    if (own && !own.addresses.some((a) => a.address === r.nextHop))
      return [
        {
          path,
          problem: `${r.nextHop} is no address of ${own.name}, which is alone in virtual subnet ${r.vsid}`,
          cure: 'Name the address of the internal interface.',
        },
      ];
    if (!isDefault(r.destinationPrefix)) return [];
    const family = prefixFamily(r.destinationPrefix);
    const other = first.get(family) ?? r;
    first.set(family, other);
    if (other.nextHop === r.nextHop) return [];
    return [
      {
        path,
        problem: `the VM network already has the gateway address ${other.nextHop}`,
        cure: 'Name that one, or a more specific prefix.',
      },
    ];
  });
}

export const gatewayProblems = (d: PolicyDomain, index: number): readonly PolicyProblem[] => [
  ...gatewayAlone(d, index),
  ...wildcards(d, index),
  ...oneAddress(d, index),
];
