/** What of the configuration in force is not there, by compartment; and the words for it. Pure. */
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import type { Outcome, Scope } from '../compartments/reconcile.ts';
import type { Op } from '../compartments/resource.ts';

export interface FailedOp {
  readonly op: string;
  readonly routingDomain: string; // '' = the default compartment
  readonly error: string;
}

/** Answer of `hnvgw status`. */
export interface Status {
  /** The configuration in force; '' = none. */
  readonly file: string;
  /** All of it is there, as far as it was last looked at. */
  readonly settled: boolean;
  readonly unsettled: readonly FailedOp[];
  readonly notes: readonly string[];
}

const UNREADABLE = 'reading what is there';

export const unreadable = (error: unknown): FailedOp => ({
  op: UNREADABLE,
  routingDomain: '',
  error: error instanceof Error ? error.message : String(error),
});

export class Unsettled {
  readonly #slots = new Map<Slot, readonly FailedOp[]>();
  #unreadable: FailedOp | undefined;
  readonly #name: (slot: Slot) => string;
  readonly #describe: (op: Op) => string;

  constructor(name: (slot: Slot) => string, describe: (op: Op) => string) {
    this.#name = name;
    this.#describe = describe;
  }

  /** A look at the slot, or at all, and what became of it. */
  looked(scope: Scope, { failures, settled }: Outcome): void {
    if (scope === 'all') {
      this.#slots.clear();
      this.#unreadable = undefined;
    } else this.#slots.delete(scope);
    for (const { op, error } of failures) {
      const { slot } = op.resource;
      const row = { op: this.#describe(op), routingDomain: this.#name(slot), error: error.message };
      this.#slots.set(slot, [...(this.#slots.get(slot) ?? []), row]);
    }
    if (settled || failures.length > 0) return;
    const slot = scope === 'all' ? DEFAULT_SLOT : scope;
    const error = 'what is there differs again after each of several passes';
    this.#slots.set(slot, [{ op: 'making it so', routingDomain: this.#name(slot), error }]);
  }

  /** Reality could not be read: nothing is known until the next full look. */
  blind(error: unknown): void {
    this.#unreadable = unreadable(error);
  }

  rows(): readonly FailedOp[] {
    return [...(this.#unreadable ? [this.#unreadable] : []), ...[...this.#slots.values()].flat()];
  }
}

/** One line for `systemctl status`. */
export function statusLine({ file, unsettled, notes }: Status): string {
  if (file === '') return 'no configuration';
  const tenants = [...new Set(unsettled.map((u) => u.routingDomain || 'the gateway itself'))];
  const [first] = unsettled;
  return [
    `configured by ${file}`,
    ...(first
      ? [
          `NOT all of it is there: ${tenants.slice(0, 5).join(', ')}${tenants.length > 5 ? ' …' : ''} (${first.op}: ${first.error})`,
        ]
      : []),
    ...notes,
  ].join('; ');
}
