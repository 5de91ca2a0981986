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
import { policyProblems, ROUTER_MAC } from '../compartments/policy.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import { type RecordError, type RecordErrorCode, recordError } from '../compartments/record-reasons.ts';
import type { Address } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { Trie } from '../lib/trie.ts';
import { providerProblems, reachesOf } from './provider-records.ts';
import { around, type Touched } from './touched.ts';

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

/** `File` records change with the file only; `Learned` ones give way to whatever the operator says. */
export type RecordOrigin = 'File' | 'Runtime' | 'Learned';

export interface Kept<T> {
  readonly record: T;
  readonly origin: RecordOrigin;
}

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

export interface Network extends NetworkBase {
  readonly kept: { readonly [K in NetworkKind]: ReadonlyMap<string, Kept<RecordTypes[K]>> };
  readonly customerRoutes: readonly CustomerRoute[];
  /** In the order in which the data plane heeds them: what is known before what was learned, places without address last. */
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
  // The address of an L2Only record is a placeholder (R-ENC-8).
  'lookup-record': (r) => `${r.vsid} ${r.type === 'L2Only' ? r.mac : r.customerAddress}`,
  'provider-address': (r) => r.providerAddress,
  'provider-route': (r) => `${r.destinationPrefix} ${r.metric}`,
};

/** What a record is known by among those of its kind (in its VM network). */
export const recordKey = <K extends RecordKind>(kind: K, record: RecordTypes[K]): string => KEY[kind](record);

const keep = <T>(origin: RecordOrigin, key: (r: T) => string, records: readonly T[]): Map<string, Kept<T>> =>
  new Map(records.map((record) => [key(record), { record, origin }]));

const ORDER: { readonly [T in LookupRecord['type']]: number } = {
  Static: 0,
  GatewayWildcard: 1,
  Dynamic: 2,
  L2Only: 3,
};

function networkOf(base: NetworkBase, kept: Network['kept']): Network {
  const lookupRecords = [...kept['lookup-record'].values()].map((k) => k.record);
  return {
    ...base,
    kept,
    customerRoutes: [...kept['customer-route'].values()].map((k) => k.record),
    lookupRecords: lookupRecords.sort((a, b) => ORDER[a.type] - ORDER[b.type]),
  };
}

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
      'customer-route': keep('File', KEY['customer-route'], customerRoutes),
      'lookup-record': keep('File', KEY['lookup-record'], lookupRecords),
    };
    store = entered(store, undefined, networkOf(network, kept));
  }
  return store;
}

const vsidsOf = (n: Network | undefined): ReadonlySet<Vsid> =>
  new Set(
    [
      ...(n?.customerRoutes ?? []),
      ...(n?.lookupRecords ?? []),
      ...(n?.internalInterfaces ?? []),
      ...(n?.ports ?? []),
      ...(n?.virtualSubnets ?? []),
    ].map((x) => x.vsid),
  );

const plainOf = (n: Network | undefined): ReadonlySet<Address> =>
  new Set((n?.lookupRecords ?? []).filter(isPlain).map((r) => r.customerAddress));

const peersOf = (n: Network | undefined): readonly Address[] =>
  (n?.lookupRecords ?? []).filter((r) => r.mac !== ROUTER_MAC).map((r) => r.providerAddress);

/** The store with a network in place of its former self, indexes included. */
function entered(store: RecordStore, before: Network | undefined, after: Network): RecordStore {
  let { vsids, peers, plain } = store;
  const [had, has] = [vsidsOf(before), vsidsOf(after)];
  for (const vsid of had) if (!has.has(vsid)) vsids = vsids.with(String(vsid), undefined);
  for (const vsid of has) if (!had.has(vsid)) vsids = vsids.with(String(vsid), after.routingDomainId);
  const [bare, now] = [plainOf(before), plainOf(after)];
  for (const address of bare) if (!now.has(address)) plain = plain.with(address, undefined);
  for (const address of now) if (!bare.has(address)) plain = plain.with(address, after.routingDomainId);
  const counts = new Map<Address, number>();
  for (const peer of peersOf(before)) counts.set(peer, (counts.get(peer) ?? 0) - 1);
  for (const peer of peersOf(after)) counts.set(peer, (counts.get(peer) ?? 0) + 1);
  for (const [peer, n] of counts) if (n !== 0) peers = peers.with(peer, (peers.get(peer) ?? 0) + n || undefined);
  return { ...store, vsids, plain, peers, networks: store.networks.with(after.routingDomainId, after) };
}

const TITLES: { readonly [K in RecordKind]: string } = {
  'customer-route': 'customer route',
  'lookup-record': 'lookup record',
  'provider-address': 'provider address',
  'provider-route': 'provider route',
};
const title = (kind: RecordKind, key: string): string => `${TITLES[kind]} ${key}`;

/** One record of a list that is being changed; tells the code when it cannot be done. */
function alter<K extends RecordKind>(
  list: Map<string, Kept<RecordTypes[K]>>,
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
    const owner = isPlain(r) && n.lookupRecords.includes(r) ? store.plain.get(r.customerAddress) : undefined;
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
  const [near] = around([n], touched) as [Network];
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
function touchedBetween(
  before: Network['kept'],
  after: Network['kept'],
  keys: readonly (readonly [NetworkKind, string])[],
): Touched {
  const of = <K extends NetworkKind>(kind: K): readonly RecordTypes[K][] =>
    keys.flatMap(([k, key]) =>
      k === kind
        ? [before, after].flatMap(
            (kept) => (kept[kind] as ReadonlyMap<string, Kept<RecordTypes[K]>>).get(key)?.record ?? [],
          )
        : [],
    );
  return { lookupRecords: of('lookup-record'), customerRoutes: of('customer-route') };
}

/** All of the changes or none: the new store, or everything that is wrong. */
export function changeRecords(
  store: RecordStore,
  changes: readonly RecordChange[],
): Result<Changed, readonly RecordError[]> {
  const errors: RecordError[] = [];
  const networks = new Map<RoutingDomainId, { [K in NetworkKind]: Map<string, Kept<RecordTypes[K]>> }>();
  const machine = {
    'provider-address': new Map(store.providerAddresses.map((k) => [k.record.providerAddress as string, k])),
    'provider-route': new Map(store.providerRoutes.map((k) => [KEY['provider-route'](k.record), k])),
  };
  const keys = new Map<RoutingDomainId, [NetworkKind, string][]>();
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
      const open = networks.get(network.routingDomainId) ?? {
        'customer-route': new Map(network.kept['customer-route']),
        'lookup-record': new Map(network.kept['lookup-record']),
      };
      networks.set(network.routingDomainId, open);
      code = alter(open[c.kind] as never, c as never);
      const touched = keys.get(network.routingDomainId) ?? [];
      keys.set(network.routingDomainId, touched);
      touched.push([c.kind, keyOfChange(c)]);
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
  for (const [id, kept] of networks) {
    const before = store.networks.get(id)!;
    const after = networkOf(baseOf(before), kept);
    const touched = touchedBetween(before.kept, kept, keys.get(id)!);
    // Against what the changes before it made: two VM networks may ask for one virtual subnet at once.
    errors.push(...networkProblems(next, after, touched));
    if (!machineChanged)
      for (const r of touched.lookupRecords)
        if (r.mac !== ROUTER_MAC && kept['lookup-record'].get(recordKey('lookup-record', r))?.record === r)
          if (!reaches(r.providerAddress))
            errors.push(recordError('PROVIDER_UNREACHABLE', title('lookup-record', recordKey('lookup-record', r))));
    next = entered(next, before, after);
    touchedNetworks.set(id, touched);
  }
  if (machineChanged) errors.push(...providerProblems(next));
  if (errors.length) return err(errors);
  return ok({ store: next, networks: touchedNetworks, machine: machineChanged });
}

const baseOf = ({ kept, customerRoutes, lookupRecords, ...base }: Network): NetworkBase => base;

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
      [...(network.kept[kind] as ReadonlyMap<string, Kept<RecordTypes[K]>>)].map(([key, k]) => ({
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
  const kept = network && (network.kept[kind] as ReadonlyMap<string, Kept<RecordTypes[K]>>).get(key);
  return kept && { kind, key, ...kept, network };
}
