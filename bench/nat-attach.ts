/**
 * The product's NAT at the edge of one gateway's namespace, in which this program runs: loads the object, writes the entries that
 * the product's own code makes of a NetNat, attaches the programs. Maps are pinned, and nat_purge, for who measures.
 *
 * usage: nat-attach.ts JSON, a NatEdge.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { NetNat } from '../compartments/nat.ts';
import { programInfo } from '../kernel/bpf/program.ts';
import { attachFirst } from '../kernel/bpf/tcx.ts';
import { BpfObject } from '../kernel/bpf.ts';
import { inspectNetns } from '../kernel/inspect.ts';
import type { Address } from '../lib/address.ts';
import { NAT_PINNED_MAPS, NAT_PROGRAMS } from '../nat/abi.ts';
import { natEntries } from '../nat/entries.ts';
import { idOf, type NatEdge } from './nat-layouts.ts';

const OBJECT = path.resolve(import.meta.dirname, '../dist/bpf/nat.bpf.o');

function entriesOf({ nat, address, gateway, slots, nic }: NatEdge, index: (device: string) => number) {
  const made = natEntries({
    netNats: [nat as NetNat],
    netAdapters: [
      {
        interfaceAlias: 'If2',
        device: nic,
        role: 'External',
        address: { address: address as Address, prefixLength: 24 },
        defaultGateway: gateway as Address,
      },
    ],
    tenants: slots.map((slot) => ({ routingDomainId: idOf(slot), slot, device: index(`n${slot}`) })),
    seed: 1,
    waiting: 0,
    former: { pools: [], services: new Map(), dips: new Map() },
    index,
    healthy: () => true,
  });
  if (!made.ok) throw new Error(made.error);
  return made.value.resources;
}

function attach(edge: NatEdge): void {
  const { links } = inspectNetns('');
  const index = (device: string): number => {
    const link = links.find((l) => l.name === device);
    if (!link) throw new Error(`no device ${device}`);
    return link.index;
  };
  const object = new BpfObject(OBJECT, edge.pin, NAT_PINNED_MAPS, edge.sizes);
  for (const { spec } of entriesOf(edge, index))
    object.map(spec.map).set(Buffer.from(spec.key, 'hex'), Buffer.from(spec.value, 'hex'));
  const ingress = (device: string) => ({ index: index(device), direction: 'ingress' as const });
  attachFirst(object.progFd(NAT_PROGRAMS.in), ingress(edge.nic));
  for (const slot of edge.slots) attachFirst(object.progFd(NAT_PROGRAMS.out), ingress(`n${slot}`));
  const { id } = programInfo(object.progFd(NAT_PROGRAMS.purge));
  execFileSync('bpftool', ['prog', 'pin', 'id', `${id}`, `${edge.pin}/${NAT_PROGRAMS.purge}`]);
  object.close();
}

attach(JSON.parse(process.argv[2] ?? '') as NatEdge);
