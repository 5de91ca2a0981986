/** A change of records from the wish to the data plane, the same for the gateway and a host: all of it, or as it was. */
import type { Outcome } from '../compartments/reconcile.ts';
import type { Op } from '../compartments/resource.ts';
import { type Changed, changeRecords, type RecordStore } from '../encap/records.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { AskForChanges, RecordRefusal } from './plane.ts';

export interface RecordSteps {
  /** Puts the store `to` in force in place of `from`. */
  put(from: RecordStore, to: RecordStore, changed: Changed): Promise<Outcome>;
  /** In the operator's words. */
  failures(outcome: Outcome): Extract<RecordRefusal, { code: 'FAILED' }>['failures'];
  /** On disk when it returns. */
  save(changed: Changed): void;
}

/** One call at a time. */
export async function changeInForce(
  store: RecordStore | undefined,
  ask: AskForChanges,
  steps: RecordSteps,
): Promise<Result<readonly Op[], RecordRefusal>> {
  if (!store) return err({ code: 'NOT_CONFIGURED', message: 'there is no configuration yet' });
  const changes = ask(store);
  const changed = changes.ok ? changeRecords(store, changes.value) : changes;
  if (!changed.ok) return err({ code: 'RECORD', errors: changed.error });
  const outcome = await steps.put(store, changed.value.store, changed.value);
  if (outcome.settled) {
    steps.save(changed.value);
    return ok(outcome.done);
  }
  const failures = steps.failures(outcome);
  await steps.put(changed.value.store, store, changed.value);
  return err({ code: 'FAILED', failures });
}
