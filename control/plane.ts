/** What the control socket serves: the policy records of the process behind it, and what its data plane tells. */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { RecordError } from '../compartments/record-reasons.ts';
import type { Op } from '../compartments/resource.ts';
import type { RecordChange, RecordStore } from '../encap/records.ts';
import type { Result } from '../lib/result.ts';
import type { EventHub } from './hub.ts';

export type RecordRefusal =
  | { readonly code: 'RECORD'; readonly errors: readonly RecordError[] }
  /** The kernel refused; everything was put back. */
  | { readonly code: 'FAILED'; readonly failures: readonly { op: string; routingDomain: string; error: string }[] }
  | { readonly code: 'NOT_CONFIGURED'; readonly message: string };

/** What is to change, said when it is its turn: the store may be another one by then. */
export type AskForChanges = (store: RecordStore) => Result<readonly RecordChange[], readonly RecordError[]>;

export interface RecordPlane {
  /** Undefined while there is no configuration. */
  records(): RecordStore | undefined;
  /** All or nothing; on disk when it resolves. */
  changeRecords(ask: AskForChanges): Promise<Result<readonly Op[], RecordRefusal>>;
  /** Seconds since a learned record was heard of last; undefined for one that is not learned here. */
  ageOf?(id: RoutingDomainId, key: string): number | undefined;
  readonly events: EventHub;
}
