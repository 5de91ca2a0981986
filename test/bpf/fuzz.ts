/**
 * `npm run fuzz:overlay -- --frames 200000 [--seed N]`: the data plane against the reference model over random frames. Prints its
 * seed; ends with status 1 at the first difference, which fast-check makes as small as it can.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './differential.ts';

const { values } = parseArgs({ options: { frames: { type: 'string' }, seed: { type: 'string' } } });
const frames = Number(values.frames ?? 200_000);
const seed = Number(values.seed ?? Date.now() % 0x7fffffff);
if (!Number.isSafeInteger(frames) || frames < 1 || !Number.isSafeInteger(seed))
  throw new RangeError('--frames and --seed are numbers');
console.log(`${frames} frames, seed ${seed}`);
const started = performance.now();
try {
  const { compared, verdicts } = await fuzz(frames, seed);
  const seconds = (performance.now() - started) / 1000;
  for (const [verdict, count] of verdicts) console.log(`${String(count).padStart(8)}  ${verdict}`);
  console.log(`${compared} frames compared in ${seconds.toFixed(1)} s, 0 differences`);
} catch (e) {
  console.error(e instanceof Error ? e.message : String(e));
  console.error(`again: npm run fuzz:overlay -- --frames ${frames} --seed ${seed}`);
  process.exitCode = 1;
}
