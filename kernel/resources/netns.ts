/** Resource `netns`: a compartment's namespace. Its name `c<slot>` is its mark. */

import fs from 'node:fs';
import type { Netns } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import { netnsAdd, netnsDel } from '../netns.ts';
import { deleteLink, dumpLinks, parseLink, RTM_GETLINK, setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';
import { Netlink } from '../rtnl/socket.ts';

const LOOPBACK_INDEX = 1;

function loopbackUp(): void {
  const netlink = new Netlink();
  try {
    netlink.run(setLink(new Batch(), LOOPBACK_INDEX, { up: true }));
  } finally {
    netlink.close();
  }
}

export function ensureNetns(namespaces: Namespaces, netns: Netns): void {
  if (namespaces.exists(netns)) return;
  fs.closeSync(netnsAdd(netns, namespaces.directory, loopbackUp));
}

/**
 * Deletes the links in it first: the kernel would do so too, but later, and until then their names and if_ids stay taken.
 * Blocks up to half a second.
 */
export function removeNetns(namespaces: Namespaces, netns: Netns): void {
  if (!namespaces.exists(netns)) return;
  const netlink = namespaces.netlink(netns);
  const batch = new Batch();
  for (const link of netlink.dump(RTM_GETLINK, dumpLinks(false), parseLink))
    if (link.kind === 'veth' || link.kind === 'xfrm') deleteLink(batch, link.index);
  netlink.attempt(batch);
  namespaces.close(netns);
  netnsDel(netns, namespaces.directory);
}
