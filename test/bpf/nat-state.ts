/**
 * What the NAT model remembers: sessions with their two directions, mappings, ports and blocks, and who has how much. Made of
 * RFC 4787, 5382, 6888 and the design, not of the data plane's code. Where the data plane may choose (pool, block, port) the model
 * is told the choice and judges it.
 */
import { type FilteringBehavior, type NetNat, netNatOf } from '../../compartments/nat.ts';
import type { Address } from '../../lib/address.ts';
import { type Pool, placePools, rangesOf } from '../../nat/blocks.ts';
import { type NatInput, takenPorts } from '../../nat/entries.ts';
import { poolsOf } from '../../nat/policy.ts';
import { blockShare, quotaOf, sessionShare } from '../../nat/shares.ts';
import { ACK, type Endpoints, FIN, ICMP, RST, SYN, TCP, UDP } from './nat-packet.ts';

/** The data plane did what the design does not allow. */
export class Disagreement extends Error {}
export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Disagreement(what);
}

export interface Mapping {
  readonly slot: number;
  readonly host: Address;
  readonly port: number;
  readonly protocol: number;
  readonly set: number;
  readonly external: Address;
  readonly externalPort: number;
  readonly pool: Pool;
  readonly block: number;
  sessions: number;
  released: number;
}

/** One direction of a session: what its packets become, and what was seen of it. */
export interface Direction {
  readonly session: Session;
  readonly key: string;
  readonly from: Endpoints;
  readonly to: Endpoints;
  /** Of the tenant that receives it; undefined = outside. */
  readonly inside: number | undefined;
  /** The tenant that sends it; undefined = outside. */
  readonly sender: number | undefined;
  seen: number;
  flags: number;
  ack: number;
  next: number;
  window: number;
  scale: number;
}

export interface Session {
  readonly protocol: number;
  readonly slot: number; // counted for
  readonly host: Address;
  readonly mappings: readonly Mapping[];
  /** Told somebody outside of the mapping: `external:port protocol remote`. */
  readonly contact: string | undefined;
  directions: readonly [Direction, Direction];
}

export interface Tenant {
  readonly slot: number;
  readonly nat: NetNat;
  readonly pools: readonly Pool[];
  readonly maxBlocks: number;
  readonly maxSessions: number;
  readonly maxHostSessions: number;
  readonly maxHostPorts: number;
}

export const keyOf = (sender: number | undefined, protocol: number, e: Endpoints): string =>
  `${sender ?? 0} ${protocol} ${e.source}:${e.sourcePort} ${e.destination}:${e.destinationPort}`;

const portKey = (protocol: number, port: number): string => `${protocol} ${port}`;
const count = <K>(map: Map<K, number>, key: K, by: number): void => {
  const now = (map.get(key) ?? 0) + by;
  if (now) map.set(key, now);
  else map.delete(key);
};

export class NatState {
  readonly input: NatInput;
  readonly pools: readonly Pool[];
  readonly tenants: ReadonlyMap<number, Tenant>;
  readonly flows = new Map<string, Direction>();
  readonly sessions = new Set<Session>();
  readonly mappings = new Map<string, Mapping>();
  readonly externals = new Map<string, Mapping>();
  readonly owners = new Map<number, number>();
  readonly contacts = new Map<string, number>();
  readonly sessionsOf = new Map<string, number>(); // by slot, and by `slot host`
  readonly portsOf = new Map<string, number>();
  readonly #used = new Map<number, Set<string>>(); // by block
  readonly #reserved: ReadonlySet<string>;
  now = 0;

  constructor(input: NatInput) {
    this.input = input;
    const placed = placePools(rangesOf(input.netNats), []);
    if (!placed.ok) throw new Error(placed.error);
    this.pools = placed.value.pools;
    const protocols = { TCP, UDP };
    this.#reserved = new Set(
      takenPorts(input.netNats, input.netAdapters).map((t) => `${t.address} ${portKey(protocols[t.protocol], t.port)}`),
    );
    const served = input.tenants.flatMap((t) => {
      const nat = netNatOf(input.netNats, t.routingDomainId);
      return nat ? [{ ...t, nat, pools: poolsOf(nat, t.routingDomainId, this.pools) }] : [];
    });
    this.tenants = new Map(
      served.map(({ slot, routingDomainId, nat, pools }) => {
        const quota = quotaOf(nat, routingDomainId);
        const users = (p: Pool): number => served.filter((s) => s.pools.includes(p)).length;
        return [
          slot,
          {
            slot,
            nat,
            pools,
            maxBlocks: blockShare(quota, pools, users),
            maxSessions: sessionShare(quota, served.length),
            maxHostSessions: quota.sessionsPerHost ?? 0,
            maxHostPorts: quota.portsPerHost ?? 0,
          },
        ];
      }),
    );
  }

  blockAt(address: Address, port: number): { readonly pool: Pool; readonly block: number } | undefined {
    const pool = this.pools.find((p) => p.address === address && p.portStart <= port && port <= p.portEnd);
    return pool && { pool, block: pool.firstBlock + Math.floor((port - pool.portStart) / pool.blockPorts) };
  }

  reserved(address: Address, protocol: number, port: number): boolean {
    return this.#reserved.has(`${address} ${portKey(protocol, port)}`);
  }

  #portsOfBlock(pool: Pool, block: number): readonly number[] {
    const first = pool.portStart + (block - pool.firstBlock) * pool.blockPorts;
    return Array.from({ length: pool.blockPorts }, (_, i) => first + i).filter((p) => p <= pool.portEnd);
  }

  freePorts(pool: Pool, block: number, protocol: number): readonly number[] {
    const used = this.#used.get(block);
    return this.#portsOfBlock(pool, block).filter(
      (p) => !used?.has(portKey(protocol, p)) && !this.reserved(pool.address, protocol, p),
    );
  }

  usedIn(block: number): number {
    return this.#used.get(block)?.size ?? 0;
  }

  blocksOf(slot: number): readonly number[] {
    return [...this.owners].filter(([, owner]) => owner === slot).map(([block]) => block);
  }

  /** Ports that the tenant could be given of a pool: of its own blocks, or of a block that it may take. */
  available(t: Tenant, pool: Pool, protocol: number): { readonly own: number; readonly blocks: readonly number[] } {
    const all = Array.from({ length: pool.blocks }, (_, i) => pool.firstBlock + i);
    const own = all.filter((b) => this.owners.get(b) === t.slot);
    const free = this.blocksOf(t.slot).length < t.maxBlocks ? all.filter((b) => !this.owners.has(b)) : [];
    return {
      own: own.reduce((n, b) => n + this.freePorts(pool, b, protocol).length, 0),
      blocks: free.filter((b) => this.freePorts(pool, b, protocol).length > 0),
    };
  }

  /** The pool that the host's mappings of a set are in (paired pooling, RFC 4787 REQ-2). */
  pairedPool(slot: number, host: Address, set: number): Pool | undefined {
    for (const m of this.mappings.values()) if (m.slot === slot && m.host === host && m.set === set) return m.pool;
    return undefined;
  }

  /** Candidates of a rule's pools for a new mapping of a host. */
  candidates(t: Tenant, host: Address, set: number, pools: readonly Pool[]): readonly Pool[] {
    const paired = this.pairedPool(t.slot, host, set);
    return paired ? [paired] : pools;
  }

  exhausted(t: Tenant, pools: readonly Pool[], protocol: number): boolean {
    return pools.every((p) => {
      const { own, blocks } = this.available(t, p, protocol);
      return own === 0 && blocks.length === 0;
    });
  }

  /** Judges the port that the data plane chose for a new mapping, and notes it. */
  claim(
    t: Tenant,
    inside: { readonly host: Address; readonly port: number; readonly protocol: number; readonly set: number },
    pools: readonly Pool[],
    choice: { readonly address: Address; readonly port: number },
  ): Mapping {
    const { host, port, protocol, set } = inside;
    const name = `${choice.address}:${choice.port}`;
    const at = this.blockAt(choice.address, choice.port);
    demand(at !== undefined, `${name} is in no range`);
    const { pool, block } = at;
    demand(this.candidates(t, host, set, pools).includes(pool), `${name} is of no pool that the host may use now`);
    demand(!this.reserved(pool.address, protocol, choice.port), `${name} is reserved`);
    const free = this.freePorts(pool, block, protocol);
    demand(free.includes(choice.port), `${name} is used already`);
    const owner = this.owners.get(block);
    demand(owner === undefined || owner === t.slot, `${name} lies in a block of tenant ${owner}`);
    if (owner === undefined) {
      const { own, blocks } = this.available(t, pool, protocol);
      demand(own === 0, `${name} lies in a new block while ${own} ports of the tenant's blocks there are free`);
      demand(blocks.includes(block), `${name} lies in a block over the tenant's limit`);
      this.owners.set(block, t.slot);
    }
    if (protocol !== ICMP && (choice.port & 1) !== (port & 1))
      demand(
        !free.some((p) => (p & 1) === (port & 1)),
        `${name} has another parity than ${port}, and its block a free port of it`,
      );
    const mapping = {
      slot: t.slot,
      host,
      port,
      protocol,
      set,
      external: pool.address,
      externalPort: choice.port,
      pool,
      block,
      sessions: 0,
      released: 0,
    };
    this.#mark(mapping, true);
    return mapping;
  }

  /** A session that is refused at its other end may have taken a block before; its last one it keeps, others go back when empty. */
  adopt(t: Tenant, pools: readonly Pool[], protocol: number, ownerNow: (block: number) => number): void {
    const taken = pools.flatMap((p) => {
      const { own, blocks } = this.available(t, p, protocol);
      return blocks.filter((b) => ownerNow(b) === t.slot).map((b) => [b, own] as const);
    });
    demand(
      taken.length <= 1 && taken.every(([, own]) => own === 0),
      `blocks ${taken.map(([b]) => b)} were taken in vain`,
    );
    for (const [b] of taken) this.owners.set(b, t.slot);
    for (const b of this.blocksOf(t.slot)) {
      if (ownerNow(b) === t.slot) continue;
      demand(this.usedIn(b) === 0 && this.blocksOf(t.slot).length > 1, `block ${b} was given back`);
      this.owners.delete(b);
    }
  }

  #mark(m: Mapping, there: boolean): void {
    const used = this.#used.get(m.block) ?? new Set<string>();
    this.#used.set(m.block, used);
    const [inner, outer] = [
      this.mappingKey(m.slot, m.host, m.port, m.protocol, m.set),
      this.externalKey(m.external, m.externalPort, m.protocol),
    ];
    if (there) {
      used.add(portKey(m.protocol, m.externalPort));
      this.mappings.set(inner, m);
      this.externals.set(outer, m);
    } else {
      used.delete(portKey(m.protocol, m.externalPort));
      this.mappings.delete(inner);
      this.externals.delete(outer);
    }
    for (const key of [`${m.slot}`, `${m.slot} ${m.host}`]) count(this.portsOf, key, there ? 1 : -1);
  }

  mappingKey(slot: number, host: Address, port: number, protocol: number, set: number): string {
    return `${slot} ${host}:${port} ${protocol} ${set}`;
  }
  externalKey(address: Address, port: number, protocol: number): string {
    return `${address}:${port} ${protocol}`;
  }

  /** Undefined where one of the two directions is another session's already. */
  open(
    s: Omit<Session, 'directions'>,
    there: readonly [
      Pick<Direction, 'from' | 'to' | 'inside' | 'sender'>,
      Pick<Direction, 'from' | 'to' | 'inside' | 'sender'>,
    ],
  ): Session | undefined {
    const session = { ...s, directions: [] as unknown as [Direction, Direction] };
    const [first, second] = there.map(
      (d): Direction => ({
        ...d,
        session,
        key: keyOf(d.sender, s.protocol, d.from),
        seen: this.now,
        flags: 0,
        ack: 0,
        next: 0,
        window: 0,
        scale: 0,
      }),
    ) as unknown as [Direction, Direction];
    if (first.key === second.key || this.flows.has(first.key) || this.flows.has(second.key)) return undefined;
    session.directions = [first, second];
    this.flows.set(first.key, first);
    this.flows.set(second.key, second);
    this.sessions.add(session);
    this.#count(session, 1);
    for (const m of s.mappings) m.sessions++;
    return session;
  }

  #count(s: Session, by: number): void {
    for (const key of [`${s.slot}`, `${s.slot} ${s.host}`]) count(this.sessionsOf, key, by);
    if (s.contact !== undefined) count(this.contacts, s.contact, by);
  }

  #end(s: Session): void {
    for (const d of s.directions) this.flows.delete(d.key);
    this.sessions.delete(s);
    this.#count(s, -1);
    for (const m of s.mappings) if (--m.sessions === 0) m.released = this.now;
  }

  timeoutOf(s: Session): number {
    const { nat } = this.tenants.get(s.slot)!;
    if (s.protocol === UDP) return nat.udpIdleSessionTimeout;
    if (s.protocol === ICMP) return nat.icmpQueryTimeout;
    const [a, b] = s.directions;
    const open = a.flags & b.flags & ACK && !(a.flags & b.flags & FIN) && !((a.flags | b.flags) & RST);
    return open ? nat.tcpEstablishedConnectionTimeout : nat.tcpTransientConnectionTimeout;
  }

  /** What counts as use: whatever comes from inside, and from outside only where RFC 4787 REQ-6 lets it. */
  lastUse(s: Session): number {
    const both = s.directions.map((d) => d.seen);
    const inward = s.directions.find((d) => d.sender === undefined);
    const outward = s.directions.find((d) => d.sender !== undefined);
    // There is nothing to keep alive where the external endpoint is fixed.
    const fixed = s.mappings.length === 0;
    if (s.protocol !== UDP || !inward || !outward || fixed || this.tenants.get(s.slot)!.nat.udpInboundRefresh)
      return Math.max(...both);
    return outward.seen;
  }

  /** Ends what is idle, frees what has rested, and takes blocks back; which of a tenant's empty blocks stays is told. */
  sweep(stillOwned: (block: number) => boolean): void {
    for (const s of [...this.sessions]) if (this.now - this.lastUse(s) >= this.timeoutOf(s)) this.#end(s);
    for (const m of [...this.mappings.values()])
      if (m.sessions === 0 && this.now - m.released >= this.tenants.get(m.slot)!.nat.portQuarantineSeconds)
        this.#mark(m, false);
    for (const t of this.tenants.values()) {
      const own = this.blocksOf(t.slot);
      const empty = own.filter((b) => this.usedIn(b) === 0);
      const back = own.filter((b) => !stillOwned(b));
      for (const b of back) {
        demand(empty.includes(b), `block ${b} was taken from tenant ${t.slot} with ${this.usedIn(b)} ports in use`);
        this.owners.delete(b);
      }
      const rest = own.length - back.length;
      demand(
        rest === Math.max(Math.min(1, own.length), own.length - empty.length),
        `tenant ${t.slot} has ${rest} of ${own.length} blocks after the sweep, ${empty.length} were empty`,
      );
    }
  }

  filteringOf(slot: number, protocol: number): FilteringBehavior {
    const { nat } = this.tenants.get(slot)!;
    return protocol === UDP ? nat.udpFilteringBehavior : nat.tcpFilteringBehavior;
  }

  /** What TCP says in a packet of a direction; only time-outs depend on it. */
  note(d: Direction, payload: Uint8Array, flags: number): void {
    if (d.session.protocol !== TCP) {
      d.seen = this.now;
      return;
    }
    const other = d.session.directions.find((x) => x !== d)!;
    const u32 = (at: number): number => new DataView(payload.buffer, payload.byteOffset).getUint32(at);
    const [seq, ack, window] = [u32(4), u32(8), (payload[14]! << 8) | payload[15]!];
    if (flags & RST) {
      if (!this.#inWindow(other, seq)) return;
      d.seen = this.now;
      d.flags |= RST;
      return;
    }
    d.seen = this.now;
    if (flags & SYN && !(flags & ACK) && ((d.flags | other.flags) & RST || d.flags & other.flags & FIN))
      d.flags = other.flags = 0;
    // RFC 7857 §2.2, RFC 6146 §3.5.2.2: whoever goes on after a reset was not reset.
    d.flags &= ~RST;
    other.flags &= ~RST;
    d.flags |= flags & (FIN | SYN | ACK);
    if (flags & SYN) d.next = (seq + 1) >>> 0;
    if (flags & ACK) {
      d.ack = ack;
      d.window = window;
    }
  }

  /** RFC 5961 §3.2, seen from between: the sequence lies in what the other side said it would take. */
  #inWindow(other: Direction, seq: number): boolean {
    if (!(other.flags & ACK)) return true;
    const offset = (seq - other.ack) >>> 0;
    return offset < Math.max(1, other.window * 2 ** other.scale);
  }
}
