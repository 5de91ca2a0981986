/** Figures of interleaved slices: a ratio is taken inside one rotation, where both sides met the same machine. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Half of the values lie between these (interquartile range). */
  readonly lower: number;
  readonly upper: number;
  /** Where the true median lies with 95 % confidence (order statistics, no assumption on the distribution). */
  readonly from: number;
  readonly to: number;
}

/** Half the width of a 95 % interval of the standard normal distribution, for ranks with deviation √n / 2. */
const RANKS = 1.96 / 2;

/** Throws RangeError on no values. Between two values in the middle, or at a quartile, their mean counts. */
export function spread(values: readonly number[]): Spread {
  const n = values.length;
  if (n === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const at = (rank: number) => sorted[Math.min(Math.max(rank, 0), n - 1)]!;
  const between = (rank: number) => (at(Math.floor(rank)) + at(Math.ceil(rank))) / 2;
  const middle = (n - 1) / 2;
  const width = RANKS * Math.sqrt(n);
  return {
    median: between(middle),
    min: at(0),
    max: at(n - 1),
    lower: between(middle / 2),
    upper: between(n - 1 - middle / 2),
    from: at(Math.floor(middle - width)),
    to: at(Math.ceil(middle + width)),
  };
}

/** Spread of the ratios `of[i] / to[i]`. Throws RangeError when the slices do not pair. */
export function ratio(of: readonly number[], to: readonly number[]): Spread {
  if (of.length !== to.length) throw new RangeError(`${of.length} slices against ${to.length}`);
  return spread(of.map((x, i) => x / to[i]!));
}
