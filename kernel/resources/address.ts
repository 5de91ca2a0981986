/** Resource `address`: an interface address that bears our protocol number. */
import type { Slot } from '../../compartments/numbers.ts';
import { type Netns, PROTOCOL, type Resource, type Specs } from '../../compartments/resource.ts';
import { familyOf } from '../../lib/address.ts';
import type { Namespaces } from '../namespaces.ts';
import {
  createAddress,
  deleteAddress,
  dumpAddresses,
  type InterfaceAddress,
  parseInterfaceAddress,
  RTM_GETADDR,
} from '../rtnl/address.ts';
import { Batch } from '../rtnl/message.ts';
import { isNetlinkError } from '../rtnl/socket.ts';

export function readAddresses(
  namespaces: Namespaces,
  netns: Netns,
  slot: Slot,
  deviceName: (index: number) => string | undefined,
): Resource<'address'>[] {
  const netlink = namespaces.netlink(netns);
  return ([4, 6] as const)
    .flatMap((family) => netlink.dump(RTM_GETADDR, { header: dumpAddresses(family) }, parseInterfaceAddress))
    .filter((a) => a.protocol === PROTOCOL)
    .flatMap(({ index, address, prefixLength }): Resource<'address'>[] => {
      const device = deviceName(index);
      if (device === undefined) return [];
      const key = `${netns} ${device} ${address}/${prefixLength}`;
      return [{ kind: 'address', key, slot, spec: { netns, device, address, prefixLength } }];
    });
}

function present(namespaces: Namespaces, spec: Specs['address'], index: number): InterfaceAddress | undefined {
  return namespaces
    .netlink(spec.netns)
    .dump(RTM_GETADDR, { header: dumpAddresses(familyOf(spec.address), index) }, parseInterfaceAddress)
    .find((a) => a.index === index && a.address === spec.address && a.prefixLength === spec.prefixLength);
}

export function ensureAddress(namespaces: Namespaces, spec: Specs['address']): void {
  const index = namespaces.index(spec.netns, spec.device);
  try {
    namespaces.netlink(spec.netns).run(createAddress(new Batch(), { ...spec, index, protocol: PROTOCOL }));
  } catch (e) {
    if (!isNetlinkError(e, 'EEXIST')) throw e;
    if (present(namespaces, spec, index)?.protocol !== PROTOCOL)
      throw new Error('EEXIST: the address is there and is not ours; take it out of the system’s own network settings');
  }
}

export function removeAddress(namespaces: Namespaces, spec: Specs['address']): void {
  const link = namespaces.exists(spec.netns) ? namespaces.link(spec.netns, spec.device) : undefined;
  const found = link && present(namespaces, spec, link.index);
  if (!found) return;
  if (found.protocol !== PROTOCOL) throw new Error('EPERM: the address is not ours');
  namespaces.netlink(spec.netns).run(deleteAddress(new Batch(), found));
}
