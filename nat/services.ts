/** Load-balanced services as the data plane has them (R-NAT-6): numbers, DIPs, and who gets new flows. Pure. */
import type { LoadBalancerBackend, LoadBalancingRule } from '../compartments/nat.ts';
import type { Address } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { MAGLEV, SERVICES } from './abi.ts';
import { maglevTable } from './maglev.ts';
import { numbered } from './numbers.ts';

/** What the maps hold of services. */
export interface FormerServices {
  readonly services: ReadonlyMap<string, number>; // by serviceKey
  readonly dips: ReadonlyMap<number, ReadonlyMap<Address, number>>; // by service
}

export const serviceKey = (protocol: string, address: Address, port: number): string =>
  `${protocol} ${address}:${port}`;

export interface Dip {
  readonly index: number;
  readonly backend: LoadBalancerBackend;
  readonly healthy: boolean;
}

export interface Service {
  readonly index: number;
  readonly rule: LoadBalancingRule;
  readonly dips: readonly Dip[];
  /** 1 + the index of the DIP for each slot; absent = nobody takes new flows. */
  readonly table?: readonly number[];
}

/** Numbers of DIPs in one service: what a flow can hold of it. */
const DIPS = 0xfffe;

/** @param healthy what the probes say of a DIP. */
export function placeServices(
  rules: readonly LoadBalancingRule[],
  former: FormerServices,
  healthy: (rule: LoadBalancingRule, dip: Address) => boolean,
): Result<readonly Service[], string> {
  const keyOf = (r: LoadBalancingRule) => serviceKey(r.protocol, r.frontendIpAddress, r.frontendPort);
  const numbers = numbered(rules.map(keyOf), former.services, SERVICES);
  if (!numbers) return err(`${rules.length} load-balancing rules are more than ${SERVICES}`);
  const services: Service[] = [];
  for (const rule of rules) {
    const index = numbers.get(keyOf(rule))!;
    const before = former.services.get(keyOf(rule)) === index ? former.dips.get(index) : undefined;
    const places = numbered(
      rule.backends.map((b) => b.ipAddress),
      before ?? new Map(),
      DIPS,
    );
    if (!places) return err(`${rule.backends.length} DIPs of ${rule.name} are more than ${DIPS}`);
    const dips = rule.backends.map((backend) => ({
      index: places.get(backend.ipAddress)!,
      backend,
      healthy: healthy(rule, backend.ipAddress),
    }));
    const able = dips.filter((d) => d.healthy && !d.backend.draining);
    const table = maglevTable(
      able.map((d) => ({
        name: `${d.backend.ipAddress}:${rule.backendPort}`,
        value: d.index + 1,
        weight: d.backend.weight,
      })),
      MAGLEV,
    );
    services.push({ index, rule, dips, ...(table && { table }) });
  }
  return ok(services);
}
