/** Resource `nic`: a device that is not ours to make, only to set up. */
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import type { Resource, Specs } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import { setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';

/** What the hand is told of a NIC. The MTU is read back only where one is wanted. */
export interface NicInUse {
  readonly device: string;
  readonly mtu?: number;
}

export const readNics = (namespaces: Namespaces, nics: readonly NicInUse[]): Resource<'nic'>[] =>
  nics.flatMap(({ device, mtu }): Resource<'nic'>[] => {
    const link = namespaces.link('', device);
    if (!link) return [];
    const spec = { device, up: link.up, ...(mtu !== undefined && { mtu: link.mtu }) };
    return [{ kind: 'nic', key: device, slot: DEFAULT_SLOT, spec }];
  });

export function ensureNic(namespaces: Namespaces, { device, up, mtu }: Specs['nic']): void {
  const index = namespaces.index('', device);
  namespaces.netlink('').run(setLink(new Batch(), index, { up, ...(mtu !== undefined && { mtu }) }));
}
