/** What `plan` must know about each kind of resource: its place in the order, what changes in place, what a change costs. */
import type { Impact, Kind, Specs, Verb } from './resource.ts';

export interface KindRule<K extends Kind = Kind> {
  /** Created in ascending order, deleted in descending order. */
  readonly rank: number;
  /** Place of an update in the order of creations; `rank` when absent. */
  readonly updateRank?: number;
  /** Fields that can change in place; a difference anywhere else replaces the resource. */
  readonly mutable: readonly (keyof Specs[K])[];
  readonly impact: Readonly<Record<Verb, Impact>>;
  /** Replaced by a delete and a create, so that over all compartments nothing new is there while something old still is. */
  readonly apart?: boolean;
  /** True when deleting the compartment's namespace deletes it as well. */
  readonly insideNetns: boolean;
}

const impact = (create: Impact, update: Impact, replace: Impact, remove: Impact) => ({
  create,
  update,
  replace,
  delete: remove,
});

/**
 * The order closes the gaps through which a tenant's packet could fall: a port gets its program, and is set up, before there is
 * anything else, tunnels come last; on the way down tunnels go first, then the data plane forgets the port, then its program
 * goes and the port with it.
 */
export const KINDS: { readonly [K in Kind]: KindRule<K> } = {
  netns: { rank: 0, mutable: [], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  sysctl: { rank: 1, mutable: ['value'], impact: impact('none', 'none', 'none', 'none'), insideNetns: true },
  nic: { rank: 2, mutable: ['up', 'mtu'], impact: impact('none', 'flow', 'flow', 'none'), insideNetns: false },
  veth: { rank: 3, mutable: ['mtu'], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  filter: {
    rank: 4,
    // Another program may work on other maps: while they are filled, the former goes on with the former ones.
    updateRank: 9,
    mutable: ['program', 'tag'],
    impact: impact('none', 'none', 'flow', 'flow'),
    insideNetns: false,
  },
  xfrm: { rank: 5, mutable: ['mtu', 'up'], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  address: { rank: 6, mutable: [], impact: impact('none', 'flow', 'flow', 'flow'), insideNetns: true },
  route: {
    rank: 7,
    mutable: ['type', 'device', 'nextHop'],
    impact: impact('none', 'flow', 'flow', 'flow'),
    insideNetns: true,
  },
  entry: { rank: 8, mutable: ['value'], impact: impact('none', 'flow', 'flow', 'flow'), insideNetns: false },
  entries: { rank: 8, mutable: ['table'], impact: impact('none', 'flow', 'flow', 'flow'), insideNetns: false },
  connection: {
    rank: 9,
    // A tunnel that is up was authenticated with the former secret towards the former peer, and rekeying never asks again.
    mutable: [],
    // Two connections with one destination must never be loaded together: charon could give the peer of one to the other.
    apart: true,
    impact: impact('none', 'session', 'session', 'session'),
    insideNetns: false,
  },
};
