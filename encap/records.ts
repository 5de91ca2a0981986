/**
 * The policy records of a machine as one immutable value: New, Get, Set and Remove of the four kinds (R-POL-1), with the
 * cmdlets' rules and those of `compartments/policy.ts` (R-POL-2). Pure: a store and changes in, a new store or every error out.
 *
 * Each record has one owner: the configuration file, the operator at run time, or learning. What a change costs depends on the
 * size of the VM network it is in, never on the number of VM networks.
 */
import type {
  CustomerRoute,
  InternalInterface,
  Learning,
  LookupRecord,
  NetAdapter,
  ProviderAddress,
  ProviderRoute,
  RoutingDomainId,
  Vsid,
} from '../compartments/compartment.ts';
import type { HostPort } from '../compartments/host.ts';
import { type PolicyDomain, policyProblems, ROUTER_MAC } from '../compartments/policy.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import { type RecordError, type RecordErrorCode, recordError } from '../compartments/record-reasons.ts';
import { derive } from '../lib/derive.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { Trie } from '../lib/trie.ts';
import { providerProblems, reachesOf } from './provider-records.ts';
import { type Kept, lookupKey, RecordList, type RecordOrigin } from './record-list.ts';
import { around, type Touched } from './touched.ts';

export type { Kept, RecordOrigin } from './record-list.ts';

export interface RecordTypes {
  readonly 'customer-route': CustomerRoute;
  readonly 'lookup-record': LookupRecord;
  readonly 'provider-address': ProviderAddress;
  readonly 'provider-route': ProviderRoute;
}
export type RecordKind = keyof RecordTypes;
export const RECORD_KINDS = ['customer-route', 'lookup-record', 'provider-address', 'provider-route'] as const;
export type NetworkKind = 'customer-route' | 'lookup-record';
export const isNetworkKind = (kind: RecordKind): kind is NetworkKind =>
  kind === 'customer-route' || kind === 'lookup-record';

/** Learned here, or elsewhere and brought by the policy store. */
export const wasLearned = ({ record, origin }: Kept<LookupRecord>): boolean =>
  origin === 'Learned' || (origin === 'Runtime' && record.type === 'Dynamic');

/** A VM network of this machine; what it has beside records is the file's. */
export interface NetworkBase extends Learning {
  readonly routingDomain: string;
  readonly routingDomainId: RoutingDomainId;
  readonly internalInterfaces?: readonly InternalInterface[];
  readonly ports?: readonly HostPort[];
}

/** Records of a VM network by key. */
interface KeptRecords {
  readonly 'customer-route': ReadonlyMap<string, Kept<CustomerRoute>>;
  readonly 'lookup-record': RecordList;
}

export interface Network extends NetworkBase {
  readonly kept: KeptRecords;
  readonly customerRoutes: readonly CustomerRoute[];
  /** In the order in which the data plane heeds them; made when somebody asks. */
  readonly lookupRecords: readonly LookupRecord[];
}

export interface RecordStore {
  readonly networks: Trie<Network>; // by routing domain id
  readonly vsids: Trie<RoutingDomainId>;
  /** Whose the addresses are that are reached without encapsulation. */
  readonly plain: Trie<RoutingDomainId>;
  /** How many lookup records name a provider address. */
  readonly peers: Trie<number>;
  readonly providerAddresses: readonly Kept<ProviderAddress>[];
  readonly providerRoutes: readonly Kept<ProviderRoute>[];
  readonly netAdapters: readonly NetAdapter[];
}

/** `routingDomainId` may be left out for lookup records: the virtual subnet tells it. */
export type RecordChange = {
  [K in RecordKind]: {
    readonly kind: K;
    readonly routingDomainId?: RoutingDomainId;
    readonly origin: RecordOrigin;
  } & (
    | { readonly verb: 'new'; readonly record: RecordTypes[K] }
    | { readonly verb: 'set'; readonly key: string; readonly patch: Partial<RecordTypes[K]> }
    | { readonly verb: 'remove'; readonly key: string }
  );
}[RecordKind];

export interface Changed {
  readonly store: RecordStore;
  /** VM networks whose records changed, with those records. */
  readonly networks: ReadonlyMap<RoutingDomainId, Touched>;
  /** Provider addresses or routes changed: every VM network's paths may differ. */
  readonly machine: boolean;
}

const KEY: { readonly [K in RecordKind]: (r: RecordTypes[K]) => string } = {
  'customer-route': (r) => `${r.destinationPrefix} ${r.metric}`,
  'lookup-record': lookupKey,
  'provider-address': (r) => r.providerAddress,
  'provider-route': (r) => `${r.destinationPrefix} ${r.metric}`,
};

/** What a record is known by among those of its kind (in its VM network). */
export const recordKey = <K extends RecordKind>(kind: K, record: RecordTypes[K]): string => KEY[kind](record);

const networkOf = (base: NetworkBase, kept: KeptRecords): Network =>
  derive(base, {
    kept,
    customerRoutes: [...kept['customer-route'].values()].map((k) => k.record),
    get lookupRecords() {
      return kept['lookup-record'].inOrder();
    },
  });

/** The same VM network elsewhere (a host's, a gateway's) with the records that a store has of it. */
export const withRecordsOf = <T extends object>(domain: T, network: Network) =>
  derive(domain, {
    customerRoutes: network.customerRoutes,
    get lookupRecords() {
      return network.lookupRecords;
    },
  });

export interface RecordBase {
  readonly netAdapters: readonly NetAdapter[];
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
  readonly networks: readonly (NetworkBase & {
    readonly customerRoutes: readonly CustomerRoute[];
    readonly lookupRecords: readonly LookupRecord[];
  })[];
}

/** The store of a configuration that was checked when it was read. */
export function recordStore(base: RecordBase): RecordStore {
  const file = <T>(records: readonly T[]) => records.map((record): Kept<T> => ({ record, origin: 'File' }));
  let store: RecordStore = {
    networks: Trie.empty(),
    vsids: Trie.empty(),
    plain: Trie.empty(),
    peers: Trie.empty(),
    providerAddresses: file(base.providerAddresses),
    providerRoutes: file(base.providerRoutes),
    netAdapters: base.netAdapters,
  };
  for (const { customerRoutes, lookupRecords, ...network } of base.networks) {
    const kept = {
      'customer-route': new Map(file(customerRoutes).map((k) => [KEY['customer-route'](k.record), k])),
      'lookup-record': RecordList.of(file(lookupRecords).map((k) => [lookupKey(k.record), k])),
    };
    const entering = networkOf(network, kept);
    store = entered(store, undefined, entering, peersOf(entering), lookupRecords.filter(isPlain));
  }
  return store;
}

/** Virtual subnets that anything of a VM network names. */
function vsidsOf(n: Network | undefined): ReadonlySet<Vsid> {
  if (!n) return new Set();
  const lists = [n.customerRoutes, n.internalInterfaces ?? [], n.ports ?? [], n.virtualSubnets ?? []];
  const ofRecords = [...n.kept['lookup-record'].counts.vsids.entries()].map(([vsid]) => Number(vsid));
  return new Set([...ofRecords, ...lists.flatMap((list) => list.map((x) => x.vsid))]);
}

const peersOf = (n: Network): readonly string[] =>
  [...n.kept['lookup-record'].counts.peers.entries()].map(([peer]) => peer);
const peerCount = (n: Network | undefined, peer: string): number =>
  n?.kept['lookup-record'].counts.peers.get(peer) ?? 0;

/** The store with a network in place of its former self, indexes included. `named` = peers of records that changed, `plainRecords` = those of them that are. */
function entered(
  store: RecordStore,
  before: Network | undefined,
  after: Network,
  named: Iterable<string>,
  plainRecords: Iterable<LookupRecord>,
): RecordStore {
  let { vsids, peers, plain } = store;
  const [had, has] = [vsidsOf(before), vsidsOf(after)];
  for (const vsid of had) if (!has.has(vsid)) vsids = vsids.with(String(vsid), undefined);
  for (const vsid of has) if (!had.has(vsid)) vsids = vsids.with(String(vsid), after.routingDomainId);
  for (const peer of new Set(named)) {
    const more = peerCount(after, peer) - peerCount(before, peer);
    if (more !== 0) peers = peers.with(peer, (peers.get(peer) ?? 0) + more || undefined);
  }
  for (const { customerAddress } of plainRecords) {
    const there = after.kept['lookup-record'].around([customerAddress], []).values();
    const owner = [...there].some(({ record }) => isPlain(record)) ? after.routingDomainId : undefined;
    if (owner !== undefined || store.plain.get(customerAddress) === after.routingDomainId)
      plain = plain.with(customerAddress, owner);
  }
  return { ...store, vsids, plain, peers, networks: store.networks.with(after.routingDomainId, after) };
}

const TITLES: { readonly [K in RecordKind]: string } = {
  'customer-route': 'customer route',
  'lookup-record': 'lookup record',
  'provider-address': 'provider address',
  'provider-route': 'provider route',
};
const title = (kind: RecordKind, key: string): string => `${TITLES[kind]} ${key}`;

/** Records that are being changed. */
interface Draft<T> {
  get(key: string): Kept<T> | undefined;
  set(key: string, kept: Kept<T>): void;
  delete(key: string): void;
}

class LookupDraft implements Draft<LookupRecord> {
  readonly #list: RecordList;
  readonly #changes = new Map<string, Kept<LookupRecord> | undefined>();
  constructor(list: RecordList) {
    this.#list = list;
  }
  get(key: string): Kept<LookupRecord> | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#list.get(key);
  }
  set(key: string, kept: Kept<LookupRecord>): void {
    this.#changes.set(key, kept);
  }
  delete(key: string): void {
    this.#changes.set(key, undefined);
  }
  list(): RecordList {
    return this.#list.withAll(this.#changes);
  }
}

/** One record of a list that is being changed; tells the code when it cannot be done. */
function alter<K extends RecordKind>(
  list: Draft<RecordTypes[K]>,
  change: Extract<RecordChange, { kind: K }>,
): RecordErrorCode | undefined {
  type T = RecordTypes[K];
  const { kind, origin } = change;
  const key = change.verb === 'new' ? recordKey(kind, change.record as T) : change.key;
  const there = list.get(key);
  if (change.verb === 'new') {
    if (there && (there.origin !== 'Learned' || origin === 'Learned')) return 'RECORD_EXISTS';
    list.set(key, { record: change.record as T, origin });
    return undefined;
  }
  if (!there) return 'NO_SUCH_RECORD';
  if (there.origin === 'File') return 'FILE_RECORD';
  // Learning changes only what was learned.
  if (origin === 'Learned' && !(kind === 'lookup-record' && wasLearned(there as Kept<LookupRecord>)))
    return 'LEARN_OWNED';
  if (change.verb === 'remove') list.delete(key);
  else {
    const record = { ...there.record, ...change.patch } as T;
    if (recordKey(kind, record) !== key) return 'RECORD_KEY';
    list.set(key, { record, origin });
  }
  return undefined;
}

const keyOfChange = (c: RecordChange): string => (c.verb === 'new' ? recordKey(c.kind, c.record as never) : c.key);

/** The VM network that a change is in. */
function placeOf(store: RecordStore, c: RecordChange): RoutingDomainId | undefined {
  if (c.routingDomainId) return c.routingDomainId;
  return c.kind === 'lookup-record' ? store.vsids.get(keyOfChange(c).split(' ')[0]!) : undefined;
}

/** What the rules say about a network that was changed; virtual subnets of others come from the index. */
function networkProblems(store: RecordStore, n: Network, touched: Touched): readonly RecordError[] {
  const stolen = [...vsidsOf(n)].flatMap((vsid) => {
    const owner = store.vsids.get(String(vsid));
    if (owner === undefined || owner === n.routingDomainId) return [];
    const name = store.networks.get(owner)?.routingDomain ?? owner;
    return [
      recordError(
        'RECORD_POLICY',
        `virtual subnet ${vsid}`,
        `It already belongs to routing domain ${name}.`,
        'Use a virtual subnet id that no other routing domain has.',
      ),
    ];
  });
  const shared = touched.lookupRecords.flatMap((r) => {
    const owner =
      isPlain(r) && n.kept['lookup-record'].get(lookupKey(r))?.record === r
        ? store.plain.get(r.customerAddress)
        : undefined;
    if (owner === undefined || owner === n.routingDomainId) return [];
    const name = store.networks.get(owner)?.routingDomain ?? owner;
    return [
      recordError(
        'RECORD_POLICY',
        title('lookup-record', recordKey('lookup-record', r)),
        `Routing domain ${name} already reaches ${r.customerAddress} without encapsulation.`,
        'Give the machine to one routing domain; encapsulate for the others.',
      ),
    ];
  });
  const [near] = around(
    [derive(n, { records: n.kept['lookup-record'] })],
    touched,
  ) as readonly PolicyDomain[] as readonly [PolicyDomain];
  const rules = policyProblems([near]).map(({ path, problem, cure }) => {
    const [, list, index] = path as readonly [number, string, number];
    const kind = list === 'lookupRecords' ? 'lookup-record' : list === 'customerRoutes' ? 'customer-route' : undefined;
    const record = kind && (near[list as 'lookupRecords'][index] as LookupRecord);
    return recordError(
      'RECORD_POLICY',
      kind ? title(kind, recordKey(kind, record as never)) : `routing domain ${n.routingDomain}`,
      `${problem[0]!.toUpperCase()}${problem.slice(1)}.`,
      cure,
    );
  });
  return [...stolen, ...shared, ...rules];
}

/** The records under the keys, as they were and as they are. */
function touchedBetween(before: KeptRecords, after: KeptRecords, keys: TouchedKeys): Touched {
  const of = <T>(set: ReadonlySet<string>, get: (kept: KeptRecords, key: string) => Kept<T> | undefined): T[] =>
    [...set].flatMap((key) => [before, after].flatMap((kept) => get(kept, key)?.record ?? []));
  return {
    lookupRecords: of(keys['lookup-record'], (kept, key) => kept['lookup-record'].get(key)),
    customerRoutes: of(keys['customer-route'], (kept, key) => kept['customer-route'].get(key)),
  };
}

type TouchedKeys = { readonly [K in NetworkKind]: Set<string> };

/** A VM network while it is changed. */
interface OpenNetwork {
  readonly 'customer-route': Map<string, Kept<CustomerRoute>>;
  readonly 'lookup-record': LookupDraft;
  readonly keys: TouchedKeys;
}

const opened = ({ kept }: Network): OpenNetwork => ({
  'customer-route': new Map(kept['customer-route']),
  'lookup-record': new LookupDraft(kept['lookup-record']),
  keys: { 'customer-route': new Set(), 'lookup-record': new Set() },
});

/** All of the changes or none: the new store, or everything that is wrong. */
export function changeRecords(
  store: RecordStore,
  changes: readonly RecordChange[],
): Result<Changed, readonly RecordError[]> {
  const errors: RecordError[] = [];
  const networks = new Map<RoutingDomainId, OpenNetwork>();
  const machine = {
    'provider-address': new Map(store.providerAddresses.map((k) => [k.record.providerAddress as string, k])),
    'provider-route': new Map(store.providerRoutes.map((k) => [KEY['provider-route'](k.record), k])),
  };
  const touchedNetworks = new Map<RoutingDomainId, Touched>();
  let machineChanged = false;
  for (const c of changes) {
    const refuse = (code: RecordErrorCode) => errors.push(recordError(code, title(c.kind, keyOfChange(c))));
    let code: RecordErrorCode | undefined;
    if (isNetworkKind(c.kind)) {
      const place = placeOf(store, c);
      const network = place && store.networks.get(place);
      if (!network) {
        refuse('NO_SUCH_ROUTING_DOMAIN');
        continue;
      }
      const open = networks.get(network.routingDomainId) ?? opened(network);
      networks.set(network.routingDomainId, open);
      code = alter(open[c.kind] as never, c as never);
      open.keys[c.kind].add(keyOfChange(c));
    } else {
      machineChanged = true;
      code = alter(machine[c.kind] as never, c as never);
    }
    if (code) refuse(code);
  }
  let next: RecordStore = {
    ...store,
    providerAddresses: [...machine['provider-address'].values()],
    providerRoutes: [...machine['provider-route'].values()],
  };
  const reaches = reachesOf(next);
  for (const [id, open] of networks) {
    const before = store.networks.get(id)!;
    const kept = { 'customer-route': open['customer-route'], 'lookup-record': open['lookup-record'].list() };
    const after = networkOf(before, kept);
    const touched = touchedBetween(before.kept, kept, open.keys);
    // Against what the changes before it made: two VM networks may ask for one virtual subnet at once.
    for (const e of networkProblems(next, after, touched)) errors.push(e);
    if (!machineChanged)
      for (const r of touched.lookupRecords)
        if (
          r.mac !== ROUTER_MAC &&
          kept['lookup-record'].get(lookupKey(r))?.record === r &&
          !reaches(r.providerAddress)
        )
          errors.push(recordError('PROVIDER_UNREACHABLE', title('lookup-record', lookupKey(r))));
    next = entered(
      next,
      before,
      after,
      touched.lookupRecords.map((r) => r.providerAddress),
      touched.lookupRecords.filter(isPlain),
    );
    touchedNetworks.set(id, touched);
  }
  if (machineChanged) errors.push(...providerProblems(next));
  if (errors.length) return err(errors);
  return ok({ store: next, networks: touchedNetworks, machine: machineChanged });
}

export interface FoundRecord<K extends RecordKind = RecordKind> {
  readonly kind: K;
  readonly key: string;
  readonly record: RecordTypes[K];
  readonly origin: RecordOrigin;
  readonly network?: NetworkBase; // of customer routes and lookup records
}

/** Get: the records of a kind, of one VM network or of all. */
export function getRecords<K extends RecordKind>(
  store: RecordStore,
  kind: K,
  routingDomainId?: RoutingDomainId,
): readonly FoundRecord<K>[] {
  if (isNetworkKind(kind)) {
    const one = routingDomainId && store.networks.get(routingDomainId);
    const chosen = routingDomainId === undefined ? [...store.networks.entries()].map(([, n]) => n) : one ? [one] : [];
    return chosen.flatMap((network) =>
      [...(network.kept[kind] as Iterable<readonly [string, Kept<RecordTypes[K]>]>)].map(([key, k]) => ({
        kind,
        key,
        ...k,
        network,
      })),
    );
  }
  const kept: readonly Kept<ProviderAddress | ProviderRoute>[] =
    kind === 'provider-address' ? store.providerAddresses : store.providerRoutes;
  return (kept as readonly Kept<RecordTypes[K]>[]).map((k) => ({ kind, key: recordKey(kind, k.record), ...k }));
}

/** One record by its key; `routingDomainId` may be left out for lookup records. */
export function findRecord<K extends RecordKind>(
  store: RecordStore,
  kind: K,
  key: string,
  routingDomainId?: RoutingDomainId,
): FoundRecord<K> | undefined {
  if (!isNetworkKind(kind)) return getRecords(store, kind).find((r) => r.key === key);
  const place = routingDomainId ?? (kind === 'lookup-record' ? store.vsids.get(key.split(' ')[0]!) : undefined);
  const network = place && store.networks.get(place);
  const kept = network?.kept[kind].get(key) as Kept<RecordTypes[K]> | undefined;
  return kept && network && { kind, key, ...kept, network };
}
