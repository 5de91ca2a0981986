/** Rules over provider addresses and provider routes when they change at run time (R-ENC-10, R-POL-2). Pure. */
import { routable } from '../compartments/provider-path.ts';
import { type RecordError, type RecordErrorCode, recordError } from '../compartments/record-reasons.ts';
import { type Address, familyOf } from '../lib/address.ts';
import { contains, prefixFamily, prefixOf } from '../lib/prefix.ts';
import type { RecordStore } from './records.ts';

interface OnLink {
  readonly address: Address;
  readonly prefixLength: number;
}

const MAX_VLAN = 4094;

/** Which provider addresses this machine can reach. */
export const reachesOf = (store: RecordStore): ((peer: Address) => boolean) =>
  routable({
    providerAddresses: store.providerAddresses.map((k) => k.record),
    providerRoutes: store.providerRoutes.map((k) => k.record),
  });

function onLinkOf(store: RecordStore, interfaceAlias: string): readonly OnLink[] {
  const adapter = store.netAdapters.find((a) => a.interfaceAlias === interfaceAlias);
  const provider = store.providerAddresses
    .filter((k) => k.record.interfaceAlias === interfaceAlias)
    .map(({ record }) => ({ address: record.providerAddress, prefixLength: record.prefixLength }));
  return [...(adapter?.address ? [adapter.address] : []), ...provider];
}

export function providerProblems(store: RecordStore): readonly RecordError[] {
  const errors: RecordError[] = [];
  const provider = new Set(store.netAdapters.filter((a) => a.role === 'Provider').map((a) => a.interfaceAlias));
  const own = new Set<Address>(store.netAdapters.flatMap((a) => a.address?.address ?? []));
  for (const { record } of store.providerAddresses) {
    const name = `provider address ${record.providerAddress}`;
    const say = (code: RecordErrorCode, problem?: string, cure?: string) =>
      errors.push(recordError(code, name, problem, cure));
    if (!provider.has(record.interfaceAlias)) say('PROVIDER_ADAPTER');
    if (own.has(record.providerAddress))
      say('BAD_RECORD', 'An adapter of this machine has this address.', 'Choose another one for the overlay.');
    const bits = familyOf(record.providerAddress) === 4 ? 32 : 128;
    if (!(record.prefixLength >= 1 && record.prefixLength <= bits))
      say(
        'BAD_RECORD',
        `The prefix length ${record.prefixLength} is not 1 to ${bits}.`,
        'Write the length of the prefix.',
      );
    const vlan = record.vlanId;
    if (vlan !== undefined && !(Number.isInteger(vlan) && vlan >= 1 && vlan <= MAX_VLAN))
      say('BAD_RECORD', `The VLAN ${vlan} is not 1 to ${MAX_VLAN}.`, 'Write the VLAN of the provider network.');
  }
  for (const { record } of store.providerRoutes) {
    const name = `provider route ${record.destinationPrefix} ${record.metric}`;
    const onLink = onLinkOf(store, record.interfaceAlias);
    if (!provider.has(record.interfaceAlias)) errors.push(recordError('PROVIDER_ADAPTER', name));
    else if (
      familyOf(record.nextHop) !== prefixFamily(record.destinationPrefix) ||
      onLink.some((a) => a.address === record.nextHop) ||
      !onLink.some((a) => contains(prefixOf(a.address, a.prefixLength), record.nextHop))
    )
      errors.push(recordError('PROVIDER_NEXT_HOP', name));
  }
  if (store.providerAddresses.length === 0 && store.peers.size > 0)
    errors.push(recordError('PROVIDER_IN_USE', 'provider address'));
  else {
    const reaches = reachesOf(store);
    for (const [peer] of store.peers.entries())
      if (!reaches(peer as Address)) errors.push(recordError('PROVIDER_UNREACHABLE', `provider address ${peer}`));
  }
  return errors;
}
