/**
 * Resource `veth`: the pair that joins the default compartment (`port`) and a tenant's (`name`). Both ends bear our mark and the
 * tenant's is up; a pair of which that is not true is not reported, so that the plan makes it whole. The port is made down: its
 * filter sets it up.
 */
import type { Slot } from '../../compartments/numbers.ts';
import { slotOfPort } from '../../compartments/numbers.ts';
import { MARK, type Netns, type Resource, type Specs } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';
import { createVeth, deleteLink, disableAddressGeneration, type Link, setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';

/** The ends that belong to a compartment's veth links; `links` are all of that namespace. */
export function vethPorts(namespaces: Namespaces, links: readonly Link[]): { port: Link; inside: Link }[] {
  return links.flatMap((inside) => {
    if (inside.kind !== 'veth' || inside.peerNetnsId === undefined || inside.peerIndex === undefined) return [];
    const port = namespaces.link('', inside.peerIndex);
    const paired = port?.peerIndex === inside.index && port.alias === MARK && slotOfPort(port.name) !== undefined;
    return paired ? [{ port, inside }] : [];
  });
}

const whole = (inside: Link): boolean => inside.up && inside.alias === MARK;

export const readVeths = (
  pairs: readonly { readonly port: Link; readonly inside: Link }[],
  netns: Netns,
  slot: Slot,
): Resource<'veth'>[] =>
  pairs
    .filter(({ inside }) => whole(inside) && inside.mac !== undefined)
    .map(({ port, inside }) => ({
      kind: 'veth',
      key: port.name,
      slot,
      // The lower MTU of the two ends, so that an end that was changed shows.
      spec: { netns, port: port.name, name: inside.name, mac: inside.mac!, mtu: Math.min(port.mtu, inside.mtu) },
    }));

/** What exists under the port's name, with its other end when that is in the namespace wanted. */
function existing(namespaces: Namespaces, port: string, netns: Netns): { port: Link; inside?: Link } | undefined {
  const link = namespaces.link('', port);
  if (!link) return undefined;
  if (link.alias !== MARK) throw new Error(`EEXIST: device ${port} is there and is not ours`);
  const inside = link.peerIndex === undefined ? undefined : namespaces.link(netns, link.peerIndex);
  return inside?.kind === 'veth' && inside.peerIndex === link.index ? { port: link, inside } : { port: link };
}

/**
 * The default compartment's end is made and marked in one datagram, so that a kill of this process never leaves an unmarked
 * one; the inner end follows, and a pair without it counts as not made.
 */
function create(namespaces: Namespaces, spec: Specs['veth']): void {
  const home = namespaces.netlink('');
  const batch = createVeth(
    new Batch(),
    { name: spec.port, mtu: spec.mtu },
    { name: spec.name, mtu: spec.mtu, mac: spec.mac, netnsFd: namespaces.fd(spec.netns) },
  );
  disableAddressGeneration(batch, spec.port);
  setLink(batch, spec.port, { alias: MARK });
  const [error] = home.attempt(batch);
  if (error) {
    if (error.index > 0) home.attempt(deleteLink(new Batch(), spec.port));
    throw error;
  }
  namespaces.netlink(spec.netns).run(setLink(new Batch(), spec.name, { alias: MARK, up: true }));
}

function makeWhole(namespaces: Namespaces, port: Link, inside: Link, spec: Specs['veth']): void {
  namespaces.netlink('').run(setLink(new Batch(), port.index, { mtu: spec.mtu }));
  const change = {
    up: true,
    alias: MARK,
    mtu: spec.mtu,
    ...(inside.mac !== spec.mac && { mac: spec.mac }),
    ...(inside.name !== spec.name && { name: spec.name }),
  };
  namespaces.netlink(spec.netns).run(setLink(new Batch(), inside.index, change));
}

export function ensureVeth(namespaces: Namespaces, spec: Specs['veth']): void {
  const found = existing(namespaces, spec.port, spec.netns);
  if (found?.inside) {
    makeWhole(namespaces, found.port, found.inside, spec);
    return;
  }
  if (found) namespaces.netlink('').run(deleteLink(new Batch(), found.port.index));
  create(namespaces, spec);
}

export function removeVeth(namespaces: Namespaces, port: string): void {
  const link = namespaces.link('', port);
  if (!link) return;
  if (link.alias !== MARK) throw new Error(`EPERM: device ${port} is not ours`);
  namespaces.netlink('').run(deleteLink(new Batch(), link.index));
}
