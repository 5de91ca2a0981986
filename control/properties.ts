/**
 * Policy records as the cmdlets' properties, in both directions: what `record get` prints, and what a key consists of. Pure; the
 * schemas are not needed here, so that the command line starts fast.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { FoundRecord, RecordKind, RecordTypes } from '../encap/records.ts';
import { parseAddress, parseMac } from '../lib/address.ts';
import { parsePrefix, prefixFamily } from '../lib/prefix.ts';

export type Properties = Readonly<Record<string, string>>;

/** Names the VM network of a customer route or lookup record: by name or by id. */
export const NETWORK_PROPERTIES = ['RoutingDomain', 'RoutingDomainID'] as const;

/** Properties of each kind in the order in which they are shown; a test compares them with the schemas. */
export const PROPERTIES: { readonly [K in RecordKind]: readonly string[] } = {
  'customer-route': ['VirtualSubnetID', 'DestinationPrefix', 'NextHop', 'Metric'],
  'lookup-record': ['CustomerAddress', 'MACAddress', 'VirtualSubnetID', 'ProviderAddress', 'Rule', 'Type'],
  'provider-address': ['InterfaceAlias', 'ProviderAddress', 'PrefixLength', 'VlanID'],
  'provider-route': ['InterfaceAlias', 'DestinationPrefix', 'NextHop', 'Metric'],
};

const DEFAULT_METRIC = '256';

const TO: { readonly [K in RecordKind]: (r: RecordTypes[K]) => Properties } = {
  'customer-route': (r) => ({
    VirtualSubnetID: String(r.vsid),
    DestinationPrefix: r.destinationPrefix,
    NextHop: r.nextHop ?? (prefixFamily(r.destinationPrefix) === 4 ? '0.0.0.0' : '::'),
    Metric: String(r.metric),
  }),
  'lookup-record': (r) => ({
    CustomerAddress: r.customerAddress,
    MACAddress: r.mac,
    VirtualSubnetID: String(r.vsid),
    ProviderAddress: r.providerAddress,
    Rule: r.rule,
    Type: r.type,
  }),
  'provider-address': (r) => ({
    InterfaceAlias: r.interfaceAlias,
    ProviderAddress: r.providerAddress,
    PrefixLength: String(r.prefixLength),
    ...(r.vlanId !== undefined && { VlanID: String(r.vlanId) }),
  }),
  'provider-route': (r) => ({
    InterfaceAlias: r.interfaceAlias,
    DestinationPrefix: r.destinationPrefix,
    NextHop: r.nextHop,
    Metric: String(r.metric),
  }),
};

export const propertiesOf = <K extends RecordKind>(kind: K, record: RecordTypes[K]): Properties => TO[kind](record);

/** A row of `record get`: the tenant, the properties, and whose the record is. */
export const recordRow = (found: FoundRecord): Properties => ({
  ...(found.network && {
    RoutingDomain: found.network.routingDomain,
    RoutingDomainID: found.network.routingDomainId,
  }),
  ...propertiesOf(found.kind, found.record as never),
  Origin: found.origin,
});

/** Properties that a key is made of, in the words of the usage text. */
export const KEY_PROPERTIES: { readonly [K in RecordKind]: string } = {
  'customer-route': 'RoutingDomain or RoutingDomainID, DestinationPrefix and, when it is not 256, Metric',
  'lookup-record': 'VirtualSubnetID with CustomerAddress, or with MACAddress for an L2Only record',
  'provider-address': 'ProviderAddress',
  'provider-route': 'DestinationPrefix and, when it is not 256, Metric',
};

const KEYS: { readonly [K in RecordKind]: (p: Properties) => string | undefined } = {
  'customer-route': (p) => prefixKey(p),
  'lookup-record': (p) => {
    const holder = p.CustomerAddress ? parseAddress(p.CustomerAddress) : parseMac(p.MACAddress ?? '');
    return p.VirtualSubnetID && holder && `${p.VirtualSubnetID} ${holder}`;
  },
  'provider-address': (p) => parseAddress(p.ProviderAddress ?? ''),
  'provider-route': (p) => prefixKey(p),
};

const prefixKey = (p: Properties): string | undefined => {
  const prefix = parsePrefix(p.DestinationPrefix ?? '');
  return prefix && `${prefix} ${p.Metric ?? DEFAULT_METRIC}`;
};

/** The key of the record that the properties name; undefined when they do not say it. */
export const keyOf = (kind: RecordKind, properties: Properties): string | undefined => KEYS[kind](properties);

/** Whether a row has all of the given properties; addresses and MACs compare in any of their forms. */
export function matches(row: Properties, wanted: Properties): boolean {
  const canonical = (text: string): string => parseMac(text) ?? parseAddress(text) ?? parsePrefix(text) ?? text;
  return Object.entries(wanted).every(([name, value]) => {
    const have = row[name];
    return have !== undefined && canonical(have).toLowerCase() === canonical(value).toLowerCase();
  });
}

/** As the cmdlets print ids: lower case, with braces. */
export const routingDomainIdOf = (text: string): RoutingDomainId => text.toLowerCase() as RoutingDomainId;
