/**
 * When changes of the network wake the loop of a compartment: soon after the first of a burst, and the less often the longer
 * they go on. Our own work is followed by events of the kernel as well; they lead to one more look, which finds nothing to do,
 * and whoever fights with us over a route costs a look a minute. Pure but for what it is given.
 */
import type { Slot } from '../compartments/numbers.ts';

export interface WakesOptions {
  /** Milliseconds, monotonic. */
  now(): number;
  after(milliseconds: number, callback: () => void): void;
  wake(slot: Slot): void;
}

/** A burst ends in one look. */
export const SETTLE_MS = 100;
/** Between two looks of one compartment; doubled while the events go on. */
export const GAP_MS = { first: 1000, most: 60_000 } as const;

interface Waking {
  scheduled: boolean;
  last: number;
  gap: number;
}

export class Wakes {
  readonly #options: WakesOptions;
  readonly #slots = new Map<Slot, Waking>();

  constructor(options: WakesOptions) {
    this.#options = options;
  }

  /** Something changed where the slot's resources are: the slot is woken at most GAP_MS.most later. */
  event(slot: Slot): void {
    const known = this.#slots.get(slot);
    if (known?.scheduled) return;
    const now = this.#options.now();
    const waking = known ?? { scheduled: false, last: Number.NEGATIVE_INFINITY, gap: GAP_MS.first };
    this.#slots.set(slot, waking);
    const quiet = now > waking.last + 2 * waking.gap;
    if (quiet) waking.gap = GAP_MS.first;
    waking.scheduled = true;
    this.#options.after(Math.max(SETTLE_MS, waking.last + waking.gap - now), () => {
      waking.scheduled = false;
      waking.last = this.#options.now();
      if (!quiet) waking.gap = Math.min(2 * waking.gap, GAP_MS.most);
      this.#options.wake(slot);
    });
  }
}
