/** The differential test: random frames through BPF_PROG_TEST_RUN and through the model, for each way to encapsulate. */
import fc from 'fast-check';
import type { OverlayInput } from '../../encap/overlay.ts';
import { assertSame, assertTold } from './compare.ts';
import { DataPath } from './data-path.ts';
import { randomFrames } from './frames.ts';
import { Model, type Verdict } from './model.ts';
import { LEARNING, LINKS, MIXED, STRAY } from './policy.ts';

/** Policies under which the frames run, an equal share each. */
const POLICIES: readonly OverlayInput[] = [
  MIXED,
  { ...MIXED, encapsulation: 'VXLAN' },
  { ...MIXED, encapsulation: 'VXLAN', decapsulation: ['NVGRE', 'VXLAN'] },
  LEARNING,
  { ...LEARNING, encapsulation: 'VXLAN', decapsulation: ['NVGRE', 'VXLAN'] },
];

const nameOf = (v: Verdict): string =>
  v.verdict === 'drop'
    ? `drop ${v.reason}${v.answer ? ', answered' : ''}`
    : v.verdict === 'send'
      ? (v.encapsulated ?? 'send')
      : v.verdict;

export interface Fuzzed {
  readonly compared: number;
  /** How often each outcome was reached, most frequent first. */
  readonly verdicts: readonly (readonly [string, number])[];
}

/** Throws with the smallest frame that fast-check finds when data plane and model differ. */
export async function fuzz(frames: number, seed: number): Promise<Fuzzed> {
  const counts = new Map<string, number>();
  let done = 0;
  for (const [n, input] of POLICIES.entries()) {
    const path = new DataPath(input, [...Object.values(LINKS).map((l) => l.index), STRAY]);
    const model = new Model(input);
    try {
      const numRuns = Math.ceil((frames * (n + 1)) / POLICIES.length) - Math.ceil((frames * n) / POLICIES.length);
      fc.assert(
        fc.property(randomFrames(input), (f) => {
          const index = input.link(f.side === 'port' ? f.device : 'nic')!.index;
          const want = f.side === 'port' ? model.port(index, f.frame) : model.wire(f.frame);
          const what = Buffer.from(f.frame).toString('hex');
          assertSame(path.run(f.side, index, f.frame), want, what);
          if (input.domains.some((d) => d.virtualSubnets)) assertTold(path, model, what);
          counts.set(nameOf(want), (counts.get(nameOf(want)) ?? 0) + 1);
          done++;
        }),
        { numRuns: Math.max(1, numRuns), seed: seed + n, endOnFailure: false },
      );
    } finally {
      await path.close();
    }
  }
  return { compared: done, verdicts: [...counts].sort((a, b) => b[1] - a[1]) };
}
