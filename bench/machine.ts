/** The machine a benchmark ran on, and the place in docs/performance.md where its figures go. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Machine, withBlock } from './report.ts';

export const root = path.resolve(import.meta.dirname, '..');
const PERFORMANCE = `${root}/docs/performance.md`;

export const machine = (): Machine => ({
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown CPU',
  cpus: os.cpus().length,
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  kernel: os.release().split('.').slice(0, 2).join('.'),
  date: new Date().toISOString().slice(0, 10),
  load: os.loadavg()[0] ?? 0,
});

/** Puts the figures of a benchmark between its marks. Throws when the marks are missing. */
export function publish(benchmark: string, block: string): void {
  const text = withBlock(fs.readFileSync(PERFORMANCE, 'utf8'), benchmark, block);
  if (text === undefined) throw new Error(`docs/performance.md has no marks for the figures of ${benchmark}`);
  fs.writeFileSync(PERFORMANCE, text);
}
