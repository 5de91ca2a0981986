/** A bar is a ratio that must be reached, taken from one interleaved run. */
import { ratio, type Spread } from './statistics.ts';

export interface Bar<Row extends string, Measure extends string> {
  readonly what: string;
  readonly measure: Measure;
  readonly row: Row;
  readonly against: Row;
  readonly atLeast: number;
}

export interface Verdict {
  readonly what: string;
  readonly atLeast: number;
  readonly ratio: Spread;
  readonly held: boolean;
}

/** Values of one row, by measure, one a slice. */
export type Rounds<Measure extends string> = Readonly<Record<Measure, readonly number[]>>;

export const judge = <Row extends string, Measure extends string>(
  bars: readonly Bar<Row, Measure>[],
  rounds: Readonly<Record<Row, Rounds<Measure>>>,
): Verdict[] =>
  bars.map(({ what, atLeast, measure, row, against }) => {
    const r = ratio(rounds[row][measure], rounds[against][measure]);
    return { what, atLeast, ratio: r, held: r.median >= atLeast };
  });

/** The last line of every benchmark. */
export function verdictLine(verdicts: readonly Verdict[]): string {
  const held = verdicts.filter((v) => v.held).length;
  return `bars: ${held} held, ${verdicts.length - held} missed`;
}
