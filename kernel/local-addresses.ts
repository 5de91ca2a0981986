/** Addresses that packets can be sent from at this moment. */
import type { Address } from '../lib/address.ts';
import type { Namespaces } from './namespaces.ts';
import { dumpAddresses, parseInterfaceAddress, RTM_GETADDR } from './rtnl/address.ts';

/** Addresses of the default compartment on devices that are up and have a carrier. Costs a question per device with an address. */
export function usableAddresses(namespaces: Namespaces): ReadonlySet<Address> {
  const netlink = namespaces.netlink('');
  const found = ([4, 6] as const).flatMap((family) =>
    netlink.dump(RTM_GETADDR, { header: dumpAddresses(family) }, parseInterfaceAddress),
  );
  const works = new Map<number, boolean>();
  for (const { index } of found) {
    if (works.has(index)) continue;
    const link = namespaces.link('', index);
    works.set(index, link?.up === true && link.carrier);
  }
  return new Set(found.filter((a) => works.get(a.index)).map((a) => a.address));
}
