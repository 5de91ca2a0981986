/**
 * Concepts 2 and 3. A resource is one thing that must exist outside this process: kind, key, plain spec. An op is what makes
 * reality agree. Resources are read back from the kernel and from charon; only those that bear our mark are ever touched.
 *
 * Our marks: namespaces `c<slot>` whose loopback device has the alias MARK; links with that alias; addresses, routes and neighbours with protocol PROTOCOL; eBPF
 * maps and programs under our pin directory; charon connections whose secret's id ends in `@<digest>`.
 */
import type { Address, Mac } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import type { EntryTable } from './entry-table.ts';
import type { Slot } from './numbers.ts';

/** `ip link … alias` of every link we make. */
export const MARK = 'hnv-gateway';
/** rtm_protocol / ifa_proto of what we add (rt_protos: unassigned by the kernel and by the routing daemons). */
export const PROTOCOL = 72;

/** '' = the namespace the process lives in (the default compartment). */
export type Netns = string;

export interface Specs {
  netns: Record<string, never>;
  /**
   * key `<netns> <name>`. Names as in sysctl.d(5): dots separate, a slash stands for a dot inside a device's name
   * (`net.ipv4.conf.eth0/100.rp_filter` is of eth0.100). A setting has no absence: delete does nothing.
   */
  sysctl: { readonly netns: Netns; readonly name: string; readonly value: string };
  /** A NIC that is not ours to make, only to set up: key `<device>`. */
  nic: { readonly device: string; readonly up: boolean; readonly mtu?: number };
  /** veth from the default compartment (`port`) into `netns` (`name`). key = port */
  veth: {
    readonly netns: Netns;
    readonly port: string;
    readonly name: string;
    readonly mac: Mac;
    readonly mtu: number;
  };
  /** xfrm interface, made in the default compartment and moved. key = name */
  xfrm: {
    readonly netns: Netns;
    readonly name: string;
    readonly ifId: number;
    readonly mtu: number;
    readonly up: boolean;
  };
  /** key `<netns> <device> <address>/<length>` */
  address: { readonly netns: Netns; readonly device: string; readonly address: Address; readonly prefixLength: number };
  /** key `<netns> <prefix> <metric>` */
  route: {
    readonly netns: Netns;
    readonly prefix: Prefix;
    readonly metric: number;
    readonly type: 'unicast' | 'unreachable' | 'throw';
    readonly device?: string;
    readonly nextHop?: Address;
  };
  /** A program on a hook of a device (tcx), in the default compartment. key `<device> <direction>`; tag = the kernel's program tag */
  filter: {
    readonly device: string;
    readonly direction: 'ingress' | 'egress';
    readonly program: string;
    readonly tag: string;
  };
  /** One entry of a pinned eBPF map, bytes as hex. key `<map> <key hex>` */
  entry: { readonly map: string; readonly key: string; readonly value: string };
  /**
   * All entries of one pinned eBPF map, of all slots, packed: in place of a million of kind `entry`. Of the default slot; each
   * row has its own. key = map name. In an op, the entries that the verb is for.
   */
  entries: { readonly table: EntryTable; labelOf?(row: number, table: EntryTable): string };
  /** A charon connection with its secret, compared by a keyed digest over both. key = connection name */
  connection: { readonly digest: string };
}

export type Kind = keyof Specs;

/** The compartment a resource belongs to; DEFAULT_SLOT for what belongs to the gateway itself. */
export interface Resource<K extends Kind = Kind> {
  readonly kind: K;
  readonly key: string;
  readonly slot: Slot;
  readonly spec: Specs[K];
  /** For people: `lookup record Contoso 10.0.0.10`. Not compared. */
  readonly label?: string;
  /** What the hand needs beyond the spec (connection messages, secrets). Not compared, never printed. */
  readonly payload?: unknown;
}
export type AnyResource = { [K in Kind]: Resource<K> }[Kind];

/** What carrying an op out does to packets: nothing, to some flows, or to a whole session (tunnel, compartment). */
export type Impact = 'none' | 'flow' | 'session';
export type Verb = 'create' | 'update' | 'replace' | 'delete';

export interface Op {
  readonly verb: Verb;
  readonly resource: AnyResource; // desired; for delete the actual one
  readonly from?: AnyResource; // actual, for update and replace
  readonly impact: Impact;
}

export interface Failure {
  readonly op: Op;
  readonly error: Error;
}

/** What became of a list of ops; those in neither list were left out because an op of their slot failed before. */
export interface Executed {
  readonly done: readonly Op[];
  readonly failures: readonly Failure[];
}

/** The hands: one per subsystem (kernel, eBPF maps, charon). */
export interface Hand {
  readonly kinds: readonly Kind[];
  /** Reads back what bears our mark; of one compartment, or everything. Throws when it cannot be read in full. */
  observe(slot: Slot | 'all'): Promise<readonly AnyResource[]>;
  /** Idempotent: creating what is there with the same spec and deleting what is absent succeed. Throws on failure. */
  execute(op: Op): Promise<void>;
  /**
   * The same for many ops, none of which needs another one's effect; where it is there, the loop prefers it. Never rejects.
   * `stopped` = slots whose rows of packed ops are left out; a row that fails is told as an op of its own.
   */
  executeAll?(ops: readonly Op[], stopped?: ReadonlySet<Slot>): Promise<Executed>;
}
