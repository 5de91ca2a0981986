/**
 * What of a VM network a change can concern: the rules compare holders of one address or MAC, and an entry is made of the
 * records of one address or MAC, so the rest need not be looked at. Pure.
 */
import type { CustomerRoute, LookupRecord } from '../compartments/compartment.ts';
import type { Address, Mac } from '../lib/address.ts';
import { derive } from '../lib/derive.ts';
import { covering, type Prefix } from '../lib/prefix.ts';
import { heeded, type RecordList } from './record-list.ts';

/** Records that a change took, gave or altered, in their former and their new form. */
export interface Touched {
  readonly lookupRecords: readonly LookupRecord[];
  readonly customerRoutes: readonly CustomerRoute[];
}

interface Domain {
  /** All lookup records by key, when there are too many to look at each. */
  readonly records?: RecordList;
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
  readonly ports?: readonly { readonly mac: Mac; readonly addresses: readonly Address[] }[];
}

/** What GatewayWildcard records stand under. */
const EVERY_ADDRESS = ['0.0.0.0', '::'] as Address[];

/** Which holders, entries and routes a change can concern; undefined = all of them. */
interface Scope {
  readonly macs: ReadonlySet<Mac>;
  readonly addresses: ReadonlySet<Address>;
  readonly prefixes: ReadonlySet<Prefix>;
}

/** A subnet that was touched concerns every record in it, a gateway's wildcard every route in it. */
function scopeOf({ lookupRecords, customerRoutes }: Touched, domains: readonly Domain[]): Scope | undefined {
  if (customerRoutes.some((r) => r.nextHop === undefined)) return undefined;
  const wildcard = (r: LookupRecord): boolean => r.type === 'GatewayWildcard';
  if (lookupRecords.some(wildcard)) return undefined;
  const hasWildcard = ({ records, lookupRecords: all }: Domain): boolean =>
    records ? [...records.around(EVERY_ADDRESS, []).values()].some((k) => wildcard(k.record)) : all.some(wildcard);
  if (customerRoutes.length > 0 && domains.some(hasWildcard)) return undefined;
  const addresses = new Set(lookupRecords.map((r) => r.customerAddress));
  const prefixes = new Set(customerRoutes.map((r) => r.destinationPrefix));
  const routes = domains.flatMap((d) => d.customerRoutes);
  // A route through a touched address, with its rivals for the same prefix, and the addresses those lead through.
  for (const r of routes) if (r.nextHop !== undefined && addresses.has(r.nextHop)) prefixes.add(r.destinationPrefix);
  for (const r of routes) if (r.nextHop !== undefined && prefixes.has(r.destinationPrefix)) addresses.add(r.nextHop);
  return { macs: new Set(lookupRecords.map((r) => r.mac)), addresses, prefixes };
}

function within<D extends Domain>(domain: D, { macs, addresses, prefixes }: Scope): D {
  const covers = ({ destinationPrefix }: CustomerRoute) => {
    const covered = covering(destinationPrefix);
    for (const a of addresses) if (covered(a)) return true;
    return false;
  };
  const { records } = domain;
  const near = records
    ? heeded(records.around([...addresses, ...EVERY_ADDRESS], macs).values())
    : domain.lookupRecords.filter(
        (r) => addresses.has(r.customerAddress) || macs.has(r.mac) || r.type === 'GatewayWildcard',
      );
  return derive(domain, {
    customerRoutes: domain.customerRoutes.filter(
      (r) => prefixes.has(r.destinationPrefix) || (r.nextHop === undefined && covers(r)),
    ),
    lookupRecords: near,
    ...(domain.ports && {
      ports: domain.ports.filter((p) => macs.has(p.mac) || p.addresses.some((a) => addresses.has(a))),
    }),
  }) as object as D;
}

/** Each of the domains, former and new, with what the touched records meet in any of them. */
export function around<D extends Domain>(domains: readonly D[], touched: Touched): readonly D[] {
  const scope = scopeOf(touched, domains);
  return scope ? domains.map((d) => within(d, scope)) : domains;
}
