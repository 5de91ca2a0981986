/** Routes: RTM_NEWROUTE and its relatives (rtnetlink(7), linux/rtnetlink.h). Pure. */
import { type Address, addressBytes, addressFromBytes, type Family, familyOf } from '../../lib/address.ts';
import { lengthOf, networkOf, type Prefix, prefixFamily, prefixOf } from '../../lib/prefix.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { AF } from './address.ts';
import { type Attribute, type Attributes, type Batch, NLM_F, parseBody, readU32 } from './message.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, TABLE: 15, VIA: 18 } as const;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTMSG = 12;

export const RT_TABLE_MAIN = 254;

const TYPES = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
} as const;
/** Names as ip-route(8) prints them. */
export type RouteType = keyof typeof TYPES | 'other';
const TYPE_NAMES = new Map<number, RouteType>(Object.entries(TYPES).map(([name, n]) => [n, name as RouteType]));

export interface Route {
  readonly prefix: Prefix;
  readonly metric: number; // RTA_PRIORITY; IPv6 turns 0 into 1024
  readonly protocol: number;
  readonly table: number;
  readonly type: RouteType;
  readonly index?: number; // of the link; absent for several next hops
  readonly nextHop?: Address;
}

function routeHeader(r: { family: Family; length: number; protocol: number; scope: number; type: number }): Buffer {
  const b = Buffer.alloc(RTMSG);
  b[0] = AF[r.family];
  b[1] = r.length;
  b[4] = RT_TABLE_MAIN;
  b[5] = r.protocol;
  b[6] = r.scope;
  b[7] = r.type;
  return b;
}

/** Header of a dump of one family, of one protocol or (0) of all. Not by table: the kernel refuses one not made yet. */
export function dumpRoutes(family: Family, protocol = 0): Buffer {
  const b = Buffer.alloc(RTMSG);
  b[0] = AF[family];
  b[5] = protocol;
  return b;
}

function gateway(prefix: Prefix, nextHop: Address): Attribute {
  const bytes = addressBytes(nextHop);
  if (familyOf(nextHop) === prefixFamily(prefix)) return [RTA.GATEWAY, bytes];
  return [RTA.VIA, Buffer.from([AF[familyOf(nextHop)], 0, ...bytes])];
}

/** What we write: one next hop, table main. */
export interface NewRoute {
  readonly prefix: Prefix;
  readonly metric: number;
  readonly protocol: number;
  readonly type: 'unicast' | 'unreachable' | 'throw';
  readonly index?: number;
  readonly nextHop?: Address;
}

/** `flags`: NLM_F.EXCL fails with EEXIST when the prefix has a route of this metric, NLM_F.REPLACE takes its place. */
export function createRoute(batch: Batch, r: NewRoute, flags: number): Batch {
  const family = prefixFamily(r.prefix);
  const onLink = r.type === 'unicast' && r.nextHop === undefined;
  return batch.add(
    RTM_NEWROUTE,
    NLM_F.CREATE | flags,
    routeHeader({
      family,
      length: lengthOf(r.prefix),
      protocol: r.protocol,
      scope: onLink && family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
      type: TYPES[r.type],
    }),
    [
      ...destination(r.prefix),
      [RTA.PRIORITY, r.metric],
      ...(r.index === undefined ? [] : [[RTA.OIF, r.index] as const]),
      ...(r.nextHop === undefined ? [] : [gateway(r.prefix, r.nextHop)]),
    ],
  );
}

/** Only a route of this protocol goes; another's is left, with ESRCH. */
export const deleteRoute = (batch: Batch, r: Pick<NewRoute, 'prefix' | 'metric' | 'protocol'>): Batch =>
  batch.add(
    RTM_DELROUTE,
    0,
    routeHeader({
      family: prefixFamily(r.prefix),
      length: lengthOf(r.prefix),
      protocol: r.protocol,
      scope: RT_SCOPE_NOWHERE,
      type: 0,
    }),
    [...destination(r.prefix), [RTA.PRIORITY, r.metric]],
  );

const destination = (prefix: Prefix): Attribute[] =>
  lengthOf(prefix) === 0 ? [] : [[RTA.DST, addressBytes(networkOf(prefix))]];

function parseNextHop(attributes: Attributes): Address | undefined {
  const plain = attributes.get(RTA.GATEWAY);
  const via = attributes.get(RTA.VIA)?.subarray(2);
  const bytes = plain ?? via;
  return bytes?.length === 4 || bytes?.length === 16 ? addressFromBytes(bytes) : undefined;
}

/** Payload of RTM_NEWROUTE of an IPv4 or IPv6 route. */
export function parseRoute(payload: Buffer): Result<Route, string> {
  const body = parseBody(payload, RTMSG);
  if (!body.ok) return body;
  const { header, attributes } = body.value;
  const size = header[0] === AF[4] ? 4 : header[0] === AF[6] ? 16 : 0;
  if (!size) return err('netlink: route of an unknown family');
  const destinationBytes = attributes.get(RTA.DST) ?? Buffer.alloc(size);
  if (destinationBytes.length !== size || header[1]! > 8 * size) return err('netlink: route with a wrong destination');
  const index = readU32(attributes, RTA.OIF);
  const nextHop = parseNextHop(attributes);
  return ok({
    prefix: prefixOf(addressFromBytes(destinationBytes), header[1]!),
    metric: readU32(attributes, RTA.PRIORITY) ?? 0,
    protocol: header[5]!,
    table: readU32(attributes, RTA.TABLE) ?? header[4]!,
    type: TYPE_NAMES.get(header[7]!) ?? 'other',
    ...(index !== undefined && { index }),
    ...(nextHop && { nextHop }),
  });
}
