/**
 * Resource `xfrm`: a tunnel's interface (Documentation/networking/xfrm_device; ip-link(8) `type xfrm`). It is made in the
 * default compartment, where the SAs are, and moved: one made inside the tenant's would look into that namespace's own, empty,
 * SA database. Its name must be free in the default compartment for that moment.
 */
import type { Slot } from '../../compartments/numbers.ts';
import { MARK, type Netns, type Resource, type Specs } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import { createXfrm, deleteLink, type Link, setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';

const isOurs = (link: Link): boolean => link.kind === 'xfrm' && link.alias === MARK && link.xfrmIfId !== undefined;

export const readXfrms = (links: readonly Link[], netns: Netns, slot: Slot): Resource<'xfrm'>[] =>
  links.filter(isOurs).map((link) => ({
    kind: 'xfrm',
    key: link.name,
    slot,
    spec: { netns, name: link.name, ifId: link.xfrmIfId!, mtu: link.mtu, up: link.up },
  }));

function ours(namespaces: Namespaces, netns: Netns, name: string): Link | undefined {
  const link = namespaces.link(netns, name);
  if (link && !isOurs(link)) throw new Error(`EEXIST: device ${name} in ${netns} is not ours`);
  return link;
}

/** One datagram, so that a kill of this process leaves either nothing or the whole interface in its place. */
function create(namespaces: Namespaces, { netns, name, ifId, mtu, up }: Specs['xfrm']): void {
  const home = namespaces.netlink('');
  const batch = createXfrm(new Batch(), name, ifId);
  setLink(batch, name, { netnsFd: namespaces.fd(netns), alias: MARK, mtu, up });
  const [error] = home.attempt(batch);
  if (!error) return;
  if (error.index > 0) home.attempt(deleteLink(new Batch(), name));
  throw error;
}

export function ensureXfrm(namespaces: Namespaces, spec: Specs['xfrm']): void {
  const link = ours(namespaces, spec.netns, spec.name);
  if (link?.xfrmIfId === spec.ifId) {
    namespaces.netlink(spec.netns).run(setLink(new Batch(), link.index, { mtu: spec.mtu, up: spec.up }));
    return;
  }
  if (link) removeXfrm(namespaces, spec);
  create(namespaces, spec);
}

export function removeXfrm(namespaces: Namespaces, { netns, name }: Pick<Specs['xfrm'], 'netns' | 'name'>): void {
  if (!namespaces.exists(netns)) return;
  const link = ours(namespaces, netns, name);
  if (link) namespaces.netlink(netns).run(deleteLink(new Batch(), link.index));
}
