/**
 * Resource `veth`: the pair that joins the default compartment (`port`) and a tenant's (`name`). Both ends bear our mark and the
 * tenant's is up; a pair of which that is not true is not reported, so that the plan makes it whole. The port is made down: its
 * filter sets it up.
 *
 * A plain pair carries IPv4 to whatever is at its other end: without ARP every next hop has the device's own MAC, which is the
 * other end's as well. Its end `name` takes packets whatever route leads back to their sender.
 *
 * A pair with both ends in the default compartment is nobody's port: both ends are up.
 */
import fs from 'node:fs';
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

/** Pairs of ours with both ends in the default compartment; `links` are all of it. The end `port` is the one made first. */
export function homePairs(links: readonly Link[]): { port: Link; inside: Link }[] {
  const byIndex = new Map(links.map((l) => [l.index, l]));
  return links.flatMap((port) => {
    if (port.kind !== 'veth' || port.alias !== MARK || port.peerNetnsId !== undefined) return [];
    const inside = port.peerIndex === undefined ? undefined : byIndex.get(port.peerIndex);
    const paired = inside?.peerIndex === port.index && port.name < inside.name;
    return paired && port.up && inside.noArp ? [{ port, inside }] : [];
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
      spec: {
        netns,
        port: port.name,
        name: inside.name,
        mac: inside.mac!,
        mtu: Math.min(port.mtu, inside.mtu),
        ...(inside.noArp && port.mac === inside.mac && { plain: true }),
      },
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
    { name: spec.port, mtu: spec.mtu, ...(spec.plain && { mac: spec.mac }) },
    { name: spec.name, mtu: spec.mtu, mac: spec.mac, netnsFd: namespaces.fd(spec.netns) },
  );
  disableAddressGeneration(batch, spec.port);
  setLink(batch, spec.port, { alias: MARK });
  const [error] = home.attempt(batch);
  if (error) {
    if (error.index > 0) home.attempt(deleteLink(new Batch(), spec.port));
    throw error;
  }
  setUp(namespaces, spec);
}

function setUp(namespaces: Namespaces, { netns, port, name, plain }: Specs['veth']): void {
  if (plain)
    namespaces.visit(netns, () => {
      fs.writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '0');
      const setting = `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`;
      if (fs.existsSync(setting)) fs.writeFileSync(setting, '1'); // a kernel may be without IPv6
    });
  if (netns === '') namespaces.netlink('').run(setLink(new Batch(), port, { up: true }));
  const change = { alias: MARK, up: true, ...(plain && { noArp: true }) };
  namespaces.netlink(netns).run(setLink(new Batch(), name, change));
}

function makeWhole(namespaces: Namespaces, port: Link, inside: Link, spec: Specs['veth']): void {
  namespaces.netlink('').run(setLink(new Batch(), port.index, { mtu: spec.mtu, ...(spec.plain && { mac: spec.mac }) }));
  const change = {
    mtu: spec.mtu,
    ...(inside.mac !== spec.mac && { mac: spec.mac }),
    ...(inside.name !== spec.name && { name: spec.name }),
  };
  namespaces.netlink(spec.netns).run(setLink(new Batch(), inside.index, change));
  setUp(namespaces, spec);
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
