/**
 * The S2S interfaces that wait to be dialled, fair between tenants: their slots take turns, so a tenant with a hundred silent
 * peers delays another tenant's only dial by one turn, not by a hundred.
 */
import type { Slot } from '../../compartments/numbers.ts';

export class DialQueue {
  /** In the order of the turns; a slot without waiting interfaces is not in it. */
  readonly #waiting = new Map<Slot, string[]>();

  push(slot: Slot, name: string): void {
    const names = this.#waiting.get(slot);
    if (names) names.push(name);
    else this.#waiting.set(slot, [name]);
  }

  /** The first of the slot whose turn it is; undefined when nobody waits. */
  next(): string | undefined {
    const [turn] = this.#waiting;
    if (!turn) return undefined;
    const [slot, names] = turn;
    const name = names.shift();
    this.#waiting.delete(slot);
    if (names.length > 0) this.#waiting.set(slot, names);
    return name;
  }
}
