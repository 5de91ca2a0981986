/**
 * Resource `qdisc`: a token bucket filter as the root qdisc of a device of ours in the default compartment. It goes with its
 * device.
 */
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import { MARK, type Resource, type Specs } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import type { Link } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';
import { deleteQdisc, dumpQdiscs, parseQdisc, RTM_GETQDISC, setTokenBucket } from '../rtnl/qdisc.ts';

/** @param links of the default compartment */
export function readQdiscs(namespaces: Namespaces, links: readonly Link[]): Resource<'qdisc'>[] {
  const ours = new Map(links.filter((l) => l.alias === MARK).map((l) => [l.index, l.name]));
  const qdiscs = namespaces.netlink('').dump(RTM_GETQDISC, { header: dumpQdiscs() }, parseQdisc);
  return qdiscs.flatMap(({ index, root, tokenBucket }): Resource<'qdisc'>[] => {
    const device = ours.get(index);
    if (device === undefined || !root || !tokenBucket) return [];
    return [{ kind: 'qdisc', key: device, slot: DEFAULT_SLOT, spec: { device, ...tokenBucket } }];
  });
}

export function ensureQdisc(namespaces: Namespaces, { device, ...bucket }: Specs['qdisc']): void {
  const index = namespaces.index('', device);
  namespaces.netlink('').run(setTokenBucket(new Batch(), index, bucket));
}

export function removeQdisc(namespaces: Namespaces, { device }: Specs['qdisc']): void {
  const link = namespaces.link('', device);
  if (link?.alias === MARK) namespaces.netlink('').run(deleteQdisc(new Batch(), link.index));
}
