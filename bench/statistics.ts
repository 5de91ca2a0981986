/** Figures of interleaved rounds: a ratio is taken inside one round, where both sides met the same machine. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median and range; the median of an even number of values is the mean of the two in the middle. Throws RangeError on none. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Spread of the per-round ratios `of[i] / to[i]`. Throws RangeError when the rounds do not pair. */
export function ratio(of: readonly number[], to: readonly number[]): Spread {
  if (of.length !== to.length) throw new RangeError(`${of.length} rounds against ${to.length}`);
  return spread(of.map((x, i) => x / to[i]!));
}
