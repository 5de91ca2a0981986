/** Verdicts for people and for programs. */
import type { Check, Verdict } from './checks/check.ts';

export interface Judged {
  readonly check: Check;
  readonly verdict: Verdict;
  readonly seconds: number;
}

export const lineOf = ({ check, verdict, seconds }: Judged): string =>
  [
    `${verdict.held ? 'held  ' : 'MISSED'} ${check.id}: ${check.title} (${seconds.toFixed(1)} s)`,
    ...(verdict.held ? [] : verdict.evidence.map((e) => `         - ${e}`)),
  ].join('\n');

export const totals = (all: readonly Judged[]): string => {
  const held = all.filter((j) => j.verdict.held).length;
  return `checks: ${held} held, ${all.length - held} missed`;
};

export const asJson = (all: readonly Judged[]): string =>
  JSON.stringify(
    {
      checks: all.map(({ check, verdict, seconds }) => ({
        id: check.id,
        point: Number(check.id[0]),
        title: check.title,
        held: verdict.held,
        evidence: verdict.evidence,
        seconds: Number(seconds.toFixed(2)),
      })),
      held: all.every((j) => j.verdict.held),
    },
    undefined,
    2,
  );
