/** What `show` prints of a namespace: everything the kernel has, ours or not. Counters and tables as they are at this moment. */
import type { Netns } from '../compartments/resource.ts';
import { Namespaces, type NamespacesOptions } from './namespaces.ts';
import { dumpAddresses, type InterfaceAddress, parseInterfaceAddress, RTM_GETADDR } from './rtnl/address.ts';
import { dumpLinks, type Link, parseLink, RTM_GETLINK } from './rtnl/link.ts';
import { dumpNeighbours, type Neighbour, parseNeighbour, RTM_GETNEIGH } from './rtnl/neighbour.ts';
import { dumpRoutes, parseRoute, type Route, RT_TABLE_MAIN, RTM_GETROUTE } from './rtnl/route.ts';

type OnDevice<T> = Omit<T, 'index'> & {
  /** Name of the link; absent when it went meanwhile, or for a route without a device. */
  readonly device?: string;
};

export interface NetnsView {
  readonly links: readonly Link[];
  readonly addresses: readonly OnDevice<InterfaceAddress>[];
  /** Of the main table. */
  readonly routes: readonly OnDevice<Route>[];
  readonly neighbours: readonly OnDevice<Neighbour>[];
}

/** Reads a namespace ('' = the default compartment). Throws ENOENT when there is none of that name. */
export function inspectNetns(netns: Netns, options: NamespacesOptions = {}): NetnsView {
  const namespaces = new Namespaces(options);
  try {
    const netlink = namespaces.netlink(netns);
    const links = netlink.dump(RTM_GETLINK, dumpLinks(true), parseLink);
    const names = new Map(links.map((l) => [l.index, l.name]));
    const onDevice = <T extends { readonly index?: number }>({ index, ...rest }: T) => {
      const device = index === undefined ? undefined : names.get(index);
      return { ...rest, ...(device !== undefined && { device }) };
    };
    const families = [4, 6] as const;
    return {
      links,
      addresses: families
        .flatMap((family) => netlink.dump(RTM_GETADDR, { header: dumpAddresses(family) }, parseInterfaceAddress))
        .map(onDevice),
      routes: families
        .flatMap((family) => netlink.dump(RTM_GETROUTE, { header: dumpRoutes(family) }, parseRoute))
        .filter((r) => r.table === RT_TABLE_MAIN)
        .map(onDevice),
      neighbours: netlink
        .dump(RTM_GETNEIGH, { header: dumpNeighbours() }, parseNeighbour)
        .filter((n) => n !== undefined)
        .map(onDevice),
    };
  } finally {
    namespaces.closeAll();
  }
}
