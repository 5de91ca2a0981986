/** What every benchmark does the same way: options, compiling, isolation, printing, the exit code by the bars. */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Verdict, verdictLine } from './bars.ts';
import { isolated } from './isolation.ts';
import { publish, root } from './machine.ts';

interface Options {
  readonly bars: boolean;
  readonly rounds: number;
  readonly output: 'table' | 'json';
  readonly write: boolean;
}

/** What a benchmark has found. */
export interface Outcome {
  /** For -o json: every value. */
  readonly data: object;
  readonly table: string;
  /** What goes between the marks of docs/performance.md. */
  readonly markdown: string;
  readonly bars: readonly Verdict[];
}

export interface Benchmark {
  /** As in `npm run`. */
  readonly name: string;
  /** What --rounds counts. */
  readonly rounds: string;
  run(rounds: number): Promise<Outcome>;
}

export const progress = (text: string) => process.stderr.write(`${text}\n`);

function options({ name, rounds }: Benchmark): Options {
  const positive = (text: string) => {
    if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('a whole number from 1 on');
    return Number(text);
  };
  return new Command(name)
    .option('--bars', 'exit 1 when a bar is missed', false)
    .option('--rounds <n>', rounds, positive, 5)
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['table', 'json']).default('table'))
    .option('--write', 'put the figures into docs/performance.md', false)
    .parse()
    .opts<Options>();
}

function compile(): void {
  if (os.cpus().length < 2) throw new Error('two CPUs are needed: one generates, one forwards');
  for (const build of ['bin/bpf.sh', 'bench/build.sh']) execFileSync(`${root}/${build}`, { stdio: ['ignore', 2, 2] });
}

/** Ends the process by itself when something fails meanwhile; `name` tells whose failure it is. */
export const failed =
  (name: string) =>
  (why: Error): never => {
    progress(`${name}: ${why.message}`);
    process.exit(2);
  };

/** Parses the command line, measures, prints; the process exits 1 when a bar is missed and --bars was given. */
export async function runBenchmark(benchmark: Benchmark): Promise<void> {
  const { bars, rounds, output, write } = options(benchmark);
  const main = async () => {
    const outcome = await benchmark.run(rounds);
    if (write) publish(benchmark.name, outcome.markdown);
    process.stdout.write(output === 'json' ? `${JSON.stringify(outcome.data)}\n` : `\n${outcome.table}\n`);
    process.stdout.write(`${verdictLine(outcome.bars)}\n`);
    return bars && outcome.bars.some((b) => !b.held) ? 1 : 0;
  };
  await isolated(compile, main).catch(failed(benchmark.name));
}
