/**
 * Resource `netns`: a compartment's namespace `c<slot>`, marked by the alias of its loopback device. It has the mark before it has
 * the name, so that there is no half-made one.
 */

import fs from 'node:fs';
import { MARK, type Netns } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import { netnsAdd, netnsDel } from '../netns.ts';
import { deleteLink, dumpLinks, type Link, parseLink, RTM_GETLINK, setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';
import { Netlink } from '../rtnl/socket.ts';

const LOOPBACK_INDEX = 1;

function prepareLoopback(): void {
  const netlink = new Netlink();
  try {
    netlink.run(setLink(new Batch(), LOOPBACK_INDEX, { up: true, alias: MARK }));
  } finally {
    netlink.close();
  }
}

/** Whether a namespace with these links is one that we made. */
export const isOurNetns = (links: readonly Link[]): boolean =>
  links.some((l) => l.index === LOOPBACK_INDEX && l.alias === MARK);

function requireOurs(namespaces: Namespaces, netns: Netns, error: string): void {
  const loopback = namespaces.link(netns, LOOPBACK_INDEX);
  if (loopback && isOurNetns([loopback])) return;
  namespaces.close(netns);
  throw new Error(`${error}: network namespace ${netns} is there and is not ours`);
}

export function ensureNetns(namespaces: Namespaces, netns: Netns): void {
  if (namespaces.exists(netns)) requireOurs(namespaces, netns, 'EEXIST');
  else fs.closeSync(netnsAdd(netns, namespaces.directory, prepareLoopback));
}

/**
 * Deletes the links in it first: the kernel would do so too, but later, and until then their names and if_ids stay taken.
 * Blocks up to half a second.
 */
export function removeNetns(namespaces: Namespaces, netns: Netns): void {
  if (!namespaces.exists(netns)) return;
  requireOurs(namespaces, netns, 'EPERM');
  const netlink = namespaces.netlink(netns);
  const batch = new Batch();
  for (const link of netlink.dump(RTM_GETLINK, dumpLinks(false), parseLink))
    if (link.kind === 'veth' || link.kind === 'xfrm') deleteLink(batch, link.index);
  netlink.attempt(batch);
  namespaces.close(netns);
  netnsDel(netns, namespaces.directory);
}
