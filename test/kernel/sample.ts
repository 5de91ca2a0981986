/** The compiled sample program of these tests. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** Compiles sample.bpf.c to `object`; `defines` such as `RECORDS=8`. */
export function compileSample(object: string, ...defines: readonly string[]): void {
  const source = path.join(import.meta.dirname, 'sample.bpf.c');
  const include = `/usr/include/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu`;
  const flags = ['-O2', '-g', '-target', 'bpf', `-I${include}`, ...defines.map((d) => `-D${d}`)];
  execFileSync('clang-14', [...flags, '-c', source, '-o', object], { stdio: ['ignore', 'pipe', 'pipe'] });
}
