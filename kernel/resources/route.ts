/** Resource `route`: a route of the main table that bears our protocol number. */
import type { Slot } from '../../compartments/numbers.ts';
import { type Netns, PROTOCOL, type Resource, type Specs } from '../../compartments/resource.ts';
import { prefixFamily } from '../../lib/prefix.ts';
import type { Namespaces } from '../namespaces.ts';
import { Batch, NLM_F } from '../rtnl/message.ts';
import {
  createRoute,
  deleteRoute,
  dumpRoutes,
  parseRoute,
  type Route,
  RT_TABLE_MAIN,
  RTM_GETROUTE,
} from '../rtnl/route.ts';
import { isNetlinkError, type Netlink } from '../rtnl/socket.ts';

const inMain = (netlink: Netlink, family: 4 | 6, protocol: number): Route[] =>
  netlink
    .dump(RTM_GETROUTE, { header: dumpRoutes(family, protocol) }, parseRoute)
    .filter((r) => r.table === RT_TABLE_MAIN);

const isWritten = (type: Route['type']): boolean => type === 'unicast' || type === 'unreachable' || type === 'throw';

export function readRoutes(
  namespaces: Namespaces,
  netns: Netns,
  slot: Slot,
  deviceName: (index: number) => string | undefined,
): Resource<'route'>[] {
  const netlink = namespaces.netlink(netns);
  return ([4, 6] as const)
    .flatMap((family) => inMain(netlink, family, PROTOCOL))
    .filter((r) => r.protocol === PROTOCOL && isWritten(r.type))
    .map(({ prefix, metric, type, index, nextHop }) => {
      // The kernel hangs IPv6 routes that lead nowhere on lo; nobody asked for that.
      const device = index === undefined || type !== 'unicast' ? undefined : deviceName(index);
      return {
        kind: 'route',
        key: `${netns} ${prefix} ${metric}`,
        slot,
        spec: {
          netns,
          prefix,
          metric,
          type: type as Specs['route']['type'],
          ...(device !== undefined && { device }),
          ...(nextHop && { nextHop }),
        },
      };
    });
}

/** A route of that prefix and metric that somebody else made. */
const foreign = (netlink: Netlink, spec: Specs['route']): boolean =>
  inMain(netlink, prefixFamily(spec.prefix), 0).some(
    (r) => r.prefix === spec.prefix && r.metric === spec.metric && r.protocol !== PROTOCOL,
  );

export function ensureRoute(namespaces: Namespaces, spec: Specs['route']): void {
  const { netns, prefix, metric, type, device, nextHop } = spec;
  if (metric === 0 && prefixFamily(prefix) === 6) throw new Error('EINVAL: the metric of an IPv6 route is at least 1');
  const netlink = namespaces.netlink(netns);
  const route = {
    prefix,
    metric,
    protocol: PROTOCOL,
    type,
    ...(device !== undefined && { index: namespaces.index(netns, device) }),
    ...(nextHop && { nextHop }),
  };
  try {
    netlink.run(createRoute(new Batch(), route, NLM_F.EXCL));
  } catch (e) {
    if (!isNetlinkError(e, 'EEXIST')) throw e;
    if (foreign(netlink, spec)) throw new Error('EEXIST: a route of that prefix and metric is there and is not ours');
    netlink.run(createRoute(new Batch(), route, NLM_F.REPLACE));
  }
}

export function removeRoute(namespaces: Namespaces, spec: Specs['route']): void {
  if (!namespaces.exists(spec.netns)) return;
  try {
    namespaces.netlink(spec.netns).run(deleteRoute(new Batch(), { ...spec, protocol: PROTOCOL }));
  } catch (e) {
    if (!isNetlinkError(e, 'ESRCH')) throw e;
  }
}
