/** The configuration file's records and those of run time as one store; where the two contradict each other the file wins. Pure. */
import type { RecordError } from '../compartments/record-reasons.ts';
import { changeRecords, isNetworkKind, type Network, type RecordChange, type RecordStore } from '../encap/records.ts';

export interface Merged {
  readonly store: RecordStore;
  /** Why records of run time are no longer in force. */
  readonly dropped: readonly RecordError[];
}

/** Takes all records together; only when that fails one by one, to find those that the file no longer allows. */
export function mergeRecords(store: RecordStore, own: readonly RecordChange[]): Merged {
  if (own.length === 0) return { store, dropped: [] };
  // Provider addresses and routes first: lookup records need them.
  const ordered = own.toSorted((a, b) => Number(isNetworkKind(a.kind)) - Number(isNetworkKind(b.kind)));
  const all = changeRecords(store, ordered);
  if (all.ok) return { store: all.value.store, dropped: [] };
  let merged = store;
  const dropped: RecordError[] = [];
  for (const change of ordered) {
    const result = changeRecords(merged, [change]);
    if (result.ok) merged = result.value.store;
    else dropped.push(...result.error);
  }
  return { store: merged, dropped };
}

/** A record of run time, as the change that would make it. */
export type Own = Extract<RecordChange, { verb: 'new' }>;

/** The records of a VM network that are not the file's, as changes that would make them. */
export const ownOfNetwork = (n: Network | undefined): readonly Own[] =>
  n
    ? (['customer-route', 'lookup-record'] as const).flatMap((kind) =>
        [...n.kept[kind].values()]
          .filter((k) => k.origin !== 'File')
          .map((k) => ({ verb: 'new', kind, routingDomainId: n.routingDomainId, ...k }) as Own),
      )
    : [];

/** Whether there are any; the lookup records are not looked at. */
export const hasOwn = ({ kept }: Network): boolean =>
  kept['lookup-record'].counts.own > 0 || [...kept['customer-route'].values()].some((k) => k.origin !== 'File');

/** The same of provider addresses and provider routes; the addresses first, which the routes need. */
export const ownOfMachine = (store: RecordStore): readonly Own[] =>
  [
    ...store.providerAddresses.map((k) => ({ verb: 'new', kind: 'provider-address', ...k }) as Own),
    ...store.providerRoutes.map((k) => ({ verb: 'new', kind: 'provider-route', ...k }) as Own),
  ].filter((c) => c.origin !== 'File');

export const ownRecords = (store: RecordStore): readonly Own[] => [
  ...ownOfMachine(store),
  ...[...store.networks.entries()].flatMap(([, n]) => ownOfNetwork(n)),
];
