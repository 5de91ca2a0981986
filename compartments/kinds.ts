/** What `plan` must know about each kind of resource: its place in the order, what changes in place, what a change costs. */
import type { Impact, Kind, Specs, Verb } from './resource.ts';

export interface KindRule<K extends Kind = Kind> {
  /** Created in ascending order, deleted in descending order. */
  readonly rank: number;
  /** Fields that can change in place; a difference anywhere else replaces the resource. */
  readonly mutable: readonly (keyof Specs[K])[];
  readonly impact: Readonly<Record<Verb, Impact>>;
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
 * The order closes the gaps through which a tenant's packet could fall: a port gets its program before the data plane knows
 * the port, tunnels come last; on the way down tunnels go first, then the data plane forgets the port, then its program goes.
 */
export const KINDS: { readonly [K in Kind]: KindRule<K> } = {
  netns: { rank: 0, mutable: [], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  sysctl: { rank: 1, mutable: ['value'], impact: impact('none', 'none', 'none', 'none'), insideNetns: true },
  nic: { rank: 2, mutable: ['up', 'mtu'], impact: impact('none', 'flow', 'flow', 'none'), insideNetns: false },
  veth: { rank: 3, mutable: ['mtu'], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  xfrm: { rank: 4, mutable: ['mtu', 'up'], impact: impact('none', 'none', 'session', 'session'), insideNetns: false },
  address: { rank: 5, mutable: [], impact: impact('none', 'flow', 'flow', 'flow'), insideNetns: true },
  route: {
    rank: 6,
    mutable: ['type', 'device', 'nextHop'],
    impact: impact('none', 'flow', 'flow', 'flow'),
    insideNetns: true,
  },
  filter: { rank: 7, mutable: ['program', 'tag'], impact: impact('none', 'none', 'flow', 'flow'), insideNetns: false },
  entry: { rank: 8, mutable: ['value'], impact: impact('none', 'flow', 'flow', 'flow'), insideNetns: false },
  connection: {
    rank: 9,
    // A tunnel that is up was authenticated with the former secret towards the former peer, and rekeying never asks again.
    mutable: [],
    impact: impact('none', 'session', 'session', 'session'),
    insideNetns: false,
  },
};
