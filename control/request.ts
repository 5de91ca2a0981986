/**
 * What the API is asked about policy records, from properties to changes of the store. Pure: the store is only looked at, and
 * every property is read by the schema of the YAML.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import { type RecordError, recordError } from '../compartments/record-reasons.ts';
import {
  type PropertyProblem,
  readCustomerRoute,
  readLookupRecord,
  readProviderAddress,
  readProviderRoute,
} from '../config/properties.ts';
import {
  findRecord,
  getRecords,
  isNetworkKind,
  RECORD_KINDS,
  type RecordChange,
  type RecordKind,
  type RecordStore,
  type RecordTypes,
} from '../encap/records.ts';
import { err, ok, type Result } from '../lib/result.ts';
import {
  KEY_PROPERTIES,
  keyOf,
  matches,
  type Properties,
  propertiesOf,
  recordRow,
  routingDomainIdOf,
} from './properties.ts';

export const VERBS = ['new', 'set', 'remove'] as const;
export type RecordVerb = (typeof VERBS)[number];

export interface RecordRequest {
  readonly verb: RecordVerb;
  readonly kind: RecordKind;
  readonly properties: Properties;
}

type Errors = readonly RecordError[];

const READ: {
  readonly [K in RecordKind]: (p: Properties) => Result<RecordTypes[K], readonly PropertyProblem[]>;
} = {
  'customer-route': readCustomerRoute,
  'lookup-record': readLookupRecord,
  'provider-address': readProviderAddress,
  'provider-route': readProviderRoute,
};

const title = (r: RecordRequest): string => r.kind.replace('-', ' ');

/** The VM network that the properties name; undefined when they name none. */
function networkOf(store: RecordStore, r: RecordRequest): Result<RoutingDomainId | undefined, Errors> {
  const { RoutingDomain: name, RoutingDomainID: id } = r.properties;
  if (name === undefined && id === undefined) return ok(undefined);
  if (id !== undefined) {
    const network = store.networks.get(routingDomainIdOf(id));
    if (network && (name === undefined || name === network.routingDomain)) return ok(network.routingDomainId);
  } else
    for (const [, network] of store.networks.entries())
      if (network.routingDomain === name) return ok(network.routingDomainId);
  return err([recordError('NO_SUCH_ROUTING_DOMAIN', `${title(r)} of ${name ?? id}`)]);
}

/** The change that a request asks for. `set` fills in from the record that is there what it is not given. */
function changeOf(store: RecordStore, r: RecordRequest): Result<RecordChange, Errors> {
  const network = networkOf(store, r);
  if (!network.ok) return network;
  const { RoutingDomain, RoutingDomainID, ...given } = r.properties;
  const routingDomainId = network.value;
  const place = isNetworkKind(r.kind) && routingDomainId ? { routingDomainId } : {};
  const base = { kind: r.kind, origin: 'Runtime', ...place } as const;
  const read = (properties: Properties): Result<RecordTypes[RecordKind], Errors> => {
    const result = READ[r.kind](properties);
    if (result.ok) return result;
    return err(result.error.map((p) => recordError('BAD_RECORD', title(r), `${p.problem}.`, sentence(p.cure))));
  };
  if (r.verb === 'new') {
    const record = read(given);
    return record.ok ? ok({ ...base, verb: 'new', record: record.value } as RecordChange) : record;
  }
  const key = keyOf(r.kind, given);
  if (key === undefined)
    return err([recordError('BAD_RECORD', title(r), `It is not said which one.`, `Give ${KEY_PROPERTIES[r.kind]}.`)]);
  if (r.verb === 'remove') return ok({ ...base, verb: 'remove', key } as RecordChange);
  const there = findRecord(store, r.kind, key, routingDomainId);
  if (!there) return err([recordError('NO_SUCH_RECORD', `${title(r)} ${key}`)]);
  const record = read({ ...propertiesOf(r.kind, there.record as never), ...given });
  return record.ok ? ok({ ...base, verb: 'set', key, patch: record.value } as RecordChange) : record;
}

const sentence = (text: string): string =>
  `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${text.endsWith('?') ? '' : '.'}`;

/** All changes of a request, or everything that is wrong with it. */
export function changesOf(
  store: RecordStore,
  requests: readonly RecordRequest[],
): Result<readonly RecordChange[], Errors> {
  const results = requests.map((r) => changeOf(store, r));
  const errors = results.flatMap((r) => (r.ok ? [] : r.error));
  return errors.length ? err(errors) : ok(results.flatMap((r) => (r.ok ? [r.value] : [])));
}

export const isRecordKind = (text: string): text is RecordKind => (RECORD_KINDS as readonly string[]).includes(text);

/** Rows of a kind that have the given properties. `ageOf`: seconds since a learned record was heard of last. */
export function rowsOf(
  store: RecordStore,
  kind: RecordKind,
  wanted: Properties,
  ageOf?: (id: RoutingDomainId, key: string) => number | undefined,
): readonly Properties[] {
  const rows = getRecords(store, kind).map((found) => {
    const age = found.network && found.origin === 'Learned' && ageOf?.(found.network.routingDomainId, found.key);
    return { ...recordRow(found), ...(typeof age === 'number' && { AgeSeconds: String(Math.floor(age)) }) };
  });
  return rows.filter((row) => matches(row, wanted));
}
