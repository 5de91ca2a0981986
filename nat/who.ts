/** `nat who`: whose an external address and port were at a time, and for what lives now which host inside (R-NAT-5). Pure. */
import { type Address, familyOf, parseAddress } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { BlockRecord } from './log.ts';

export interface Question {
  readonly address: Address;
  readonly port: number;
  /** ms since 1970. */
  readonly at: number;
}

export interface Answer {
  readonly RoutingDomain: string;
  readonly RoutingDomainId: string;
  readonly ExternalIPAddress: Address;
  readonly PortStart: number;
  readonly PortEnd: number;
  readonly From: string;
  /** '' = still. */
  readonly Until: string;
}

/** `131.107.10.10:9001`. */
export function parseEndpoint(text: string): Result<{ readonly address: Address; readonly port: number }, string> {
  const m = /^([^:]+):(\d{1,5})$/.exec(text);
  const address = m ? parseAddress(m[1]!) : undefined;
  const port = Number(m?.[2]);
  if (!address || familyOf(address) !== 4 || port > 65535)
    return err('write address:port, for instance 131.107.10.10:9001');
  return ok({ address, port });
}

/** UTC as `2026-11-22T10:00:00Z`, with offset, or without seconds. */
export function parseTime(text: string): Result<number, string> {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const at = form ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? err('write a time with its zone, for instance 2026-11-22T10:00:00Z') : ok(at);
}

/**
 * Who had the port then. Both the moment in which a block was returned and the one in which another took it count for both:
 * seconds are all that is known. In the order of time; usually one.
 */
export function who(records: readonly BlockRecord[], { address, port, at }: Question): readonly Answer[] {
  const of = records.filter((r) => r.address === address && r.portStart <= port && port <= r.portEnd);
  const returned = new Map(of.flatMap((r) => (r.returned ? [[holding(r), r.returned] as const] : [])));
  const holdings = new Map(of.map((r) => [holding(r), r]));
  return [...holdings]
    .map(([key, r]) => ({
      RoutingDomain: r.routingDomain,
      RoutingDomainId: r.routingDomainId,
      ExternalIPAddress: r.address,
      PortStart: r.portStart,
      PortEnd: r.portEnd,
      From: r.taken,
      Until: returned.get(key) ?? '',
    }))
    .filter((a) => Date.parse(a.From) <= at && (a.Until === '' || at < Date.parse(a.Until) + 1000))
    .toSorted((a, b) => (a.From < b.From ? -1 : 1));
}

const holding = (r: BlockRecord): string => `${r.slot} ${r.portStart} ${r.taken}`;
