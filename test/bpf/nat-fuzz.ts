/**
 * `npm run fuzz:nat -- --frames 200000 [--seed N]`: the NAT's data plane against the reference model over random packets and
 * time. Prints its seed; ends with status 1 at the first difference, whose steps fast-check makes as few as it can.
 */
import { parseArgs } from 'node:util';
import { fuzzNat } from './nat-differential.ts';

const { values } = parseArgs({ options: { frames: { type: 'string' }, seed: { type: 'string' } } });
const frames = Number(values.frames ?? 200_000);
const seed = Number(values.seed ?? Date.now() % 0x7fffffff);
if (!Number.isSafeInteger(frames) || frames < 1 || !Number.isSafeInteger(seed))
  throw new RangeError('--frames and --seed are numbers');
console.log(`${frames} packets, seed ${seed}`);
const started = performance.now();
try {
  const { compared, sweeps, verdicts } = await fuzzNat(frames, seed);
  const seconds = (performance.now() - started) / 1000;
  for (const [verdict, count] of verdicts) console.log(`${String(count).padStart(8)}  ${verdict}`);
  console.log(`${compared} packets and ${sweeps} sweeps compared in ${seconds.toFixed(1)} s, 0 differences`);
} catch (e) {
  console.error(e instanceof Error ? e.message : String(e));
  if (e instanceof Error && e.cause) console.error(e.cause);
  console.error(`again: npm run fuzz:nat -- --frames ${frames} --seed ${seed}`);
  process.exitCode = 1;
}
