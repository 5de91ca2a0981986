/** What can be wrong with a change of policy records: a closed list with numbers of the one reason list (512 … 767). */
import type { Reason } from '../lib/reason.ts';

const REASONS = {
  RECORD_EXISTS: [512, 'A record with this key is there already.', 'Use `set` to change it, or remove it first.'],
  NO_SUCH_RECORD: [513, 'There is no record with this key.', 'Look with `get`; use `new` to add it.'],
  NO_SUCH_ROUTING_DOMAIN: [
    514,
    'The record belongs to no routing domain of this machine.',
    'Name a routing domain that the configuration file has.',
  ],
  FILE_RECORD: [
    515,
    'The record is in the configuration file, which alone may change it.',
    'Change the file and apply it.',
  ],
  RECORD_POLICY: [516, 'The policy of the VM network would contradict itself.', 'Change what the message names.'],
  RECORD_KEY: [517, '`set` cannot change what a record is known by.', 'Remove the record and add the other one.'],
  BAD_RECORD: [518, 'A property is missing, unknown, wrong or not served.', 'Write it as the reference says.'],
  PROVIDER_ADAPTER: [
    519,
    'The interface is no NetAdapter with the role Provider.',
    'Name one that the configuration file has.',
  ],
  PROVIDER_NEXT_HOP: [
    520,
    'The next hop is on no connected prefix of the interface.',
    'Choose a next hop on the prefix of a provider address.',
  ],
  PROVIDER_IN_USE: [
    521,
    'Lookup records or provider routes need the provider address.',
    'Remove them first, or add another provider address.',
  ],
  LEARN_QUOTA: [
    522,
    'The VM network has learned as many addresses as it may.',
    'Look for a VM that claims addresses, or raise the limit.',
  ],
  LEARN_OWNED: [
    523,
    'The address belongs to a record that is not learned, or to another MAC address or virtual subnet.',
    'Look for a VM that claims a foreign address; correct the record when the VM is right.',
  ],
  PROVIDER_UNREACHABLE: [
    524,
    'No provider address or provider route of this machine leads to the provider address of a lookup record.',
    'Add the provider route first, or correct the address.',
  ],
} as const satisfies Readonly<Record<string, readonly [number, string, string]>>;

export type RecordErrorCode = keyof typeof REASONS;

/** The codes as reasons, for `docs/reasons.md` and for JSON output. */
export const RECORD_REASONS: readonly Reason[] = Object.entries(REASONS).map(([name, [number, meaning, cure]]) => ({
  number,
  name,
  area: 'record',
  meaning,
  cure,
}));

export interface RecordError {
  readonly code: RecordErrorCode;
  readonly record: string; // for people: `lookup record 5001 10.0.0.10`
  readonly problem: string;
  readonly cure: string;
}

export const recordError = (
  code: RecordErrorCode,
  record: string,
  problem: string = REASONS[code][1],
  cure: string = REASONS[code][2],
): RecordError => ({ code, record, problem, cure });

/** `lookup record 5001 10.0.0.10: what is wrong: what to do`, one line. */
export const formatRecordError = (e: RecordError): string => `${e.record}: ${e.problem} ${e.cure}`;
