/** `./bin/lab`: plays the Fabrikam example on two guests, judges it by named checks, and lets one look inside. */
import { createWriteStream } from 'node:fs';
import { Command, Option } from 'commander';
import { capture } from './capture.ts';
import { type Check, judge, type Scene } from './checks/check.ts';
import { STAGES } from './checks/table.ts';
import { attachLab, startLab } from './lab.ts';
import { running, runningPids, stopAll } from './places.ts';
import { type Progress, progressTo } from './progress.ts';
import { asJson, type Judged, lineOf, totals } from './report.ts';
import { TOPOLOGY } from './world/topology.ts';

interface PlayOptions {
  readonly once?: boolean;
  readonly keep?: boolean;
  readonly only?: readonly string[];
  readonly output: 'text' | 'json';
}

async function runChecks(
  scene: Scene,
  only: readonly string[],
  tell: (line: string) => void,
): Promise<readonly Judged[]> {
  const judged: Judged[] = [];
  const wanted = (check: Check) => only.length === 0 || only.some((id) => check.id.startsWith(id));
  const run = async (check: Check): Promise<Judged> => {
    const began = performance.now();
    const verdict = await judge(check, scene);
    const done = { check, verdict, seconds: (performance.now() - began) / 1000 };
    tell(lineOf(done));
    return done;
  };
  for (const stage of STAGES) judged.push(...(await Promise.all(stage.filter(wanted).map(run))));
  return judged;
}

const HINTS = `
The lab stays up. In another terminal:
  ./bin/lab hnvgw show routes           any command of the gateway; try compartments, interfaces, s2s, records, drops
  ./bin/lab sh gateway                  a shell on the appliance; sh contoso-vm, sh woodgrove-ny … in the world
  ./bin/lab capture Contoso/IfCe1       packets of one compartment; internet-wire and provider-wire show the outside
Ctrl-C ends it.
`;

const interrupted = (): Promise<void> =>
  new Promise((resolve) => {
    // Not `once`: a second Ctrl-C would end this process before it has ended the machines.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });

/** 128 + SIGINT, as a shell says it. */
const INTERRUPTED = 130;

async function play(options: PlayOptions): Promise<number> {
  const progress: Progress = progressTo(process.stderr);
  const interruption = new AbortController();
  const ended = interrupted().then(() => interruption.abort());
  const lab = await startLab(progress, options.keep, interruption.signal).catch((error: unknown) => {
    // The guests are stopped; what else was begun (an image, a command in a guest) would hold this process up.
    if (interruption.signal.aborted) process.exit(INTERRUPTED);
    throw error;
  });
  try {
    // What checks say of machines that are being stopped under them is no verdict.
    const tell: Progress = (line) => interruption.signal.aborted || progress(line);
    const judged = await Promise.race([runChecks(lab, options.only ?? [], tell), ended]);
    if (!judged) return INTERRUPTED;
    process.stdout.write(`${options.output === 'json' ? asJson(judged) : totals(judged)}\n`);
    if (options.once) return judged.length > 0 && judged.every((j) => j.verdict.held) ? 0 : 1;
    process.stderr.write(HINTS);
    // Waiting for a signal alone does not keep a Node process alive.
    const awake = setInterval(() => undefined, 2 ** 30);
    await ended;
    clearInterval(awake);
    return 0;
  } finally {
    if (options.keep) progress('the machines stay up: ./bin/lab stop ends them');
    else await lab.stop();
  }
}

/** A word is the appliance, the world itself, or a namespace of the world. */
function placeOf(where: string): { machine: 'gateway' | 'world'; enter: readonly string[] } {
  if (where === 'gateway' || where === 'world') return { machine: where, enter: [] };
  if (TOPOLOGY.netns.some((n) => n.name === where))
    return { machine: 'world', enter: ['nsenter', `--net=/run/netns/${where}`] };
  throw new Error(`no place ${where}; there is: gateway, world, ${TOPOLOGY.netns.map((n) => n.name).join(', ')}`);
}

async function inside(where: string, argv: readonly string[]): Promise<number> {
  const { machine, enter } = placeOf(where);
  const guest = running(machine);
  if (argv.length === 0) return guest.shell([...enter, 'bash', '-l']);
  const done = await guest.exec([...enter, ...argv], { timeoutMs: 600_000 });
  process.stdout.write(done.stdout);
  process.stderr.write(done.stderr);
  return done.code;
}

const program = new Command('lab')
  .enablePositionalOptions()
  .description('the Fabrikam example on two virtual machines')
  .option('--once', 'run the checks, end, and exit 0 only if all hold')
  .option('--keep', 'leave the machines running at the end, whatever it is')
  .option('--only <id...>', 'run only the checks whose id begins so (for work on a check)')
  .addOption(new Option('-o, --output <form>', 'form of the verdicts').choices(['text', 'json']).default('text'))
  .action(async (options: PlayOptions) => {
    const code = await play(options);
    // Checks that were interrupted would hold this process up.
    if (code === INTERRUPTED) process.exit(code);
    process.exitCode = code;
  });

program
  .command('check')
  .description('runs checks on the lab that is up, those whose id begins so')
  .argument('[id...]')
  .action(async (ids: string[]) => {
    const judged = await runChecks(attachLab(), ids, progressTo(process.stderr));
    process.stdout.write(`${totals(judged)}\n`);
    process.exitCode = judged.length > 0 && judged.every((j) => j.verdict.held) ? 0 : 1;
  });
program
  .command('sh')
  .description('a shell, or one command, in: gateway, world, or a namespace of the world')
  .argument('<where>')
  .argument('[command...]')
  .passThroughOptions()
  .action(async (where: string, argv: string[]) => {
    process.exitCode = await inside(where, argv);
  });
program
  .command('hnvgw')
  .description('the gateway’s own command line')
  .argument('[args...]')
  .passThroughOptions()
  .helpOption(false)
  .allowUnknownOption()
  .action(async (args: string[]) => {
    process.exitCode = await inside('gateway', ['hnvgw', ...args]);
  });
program
  .command('capture')
  .description('packets at: internet-wire, provider-wire, a namespace of the world, or <routing domain>/<interface>')
  .argument('<where>')
  .argument('[filter...]', 'as tcpdump reads it')
  .option('-w, --write <file>', 'pcap to a file, - for standard output')
  .action(async (where: string, filter: string[], options: { write?: string }) => {
    const file = options.write;
    const out = file === undefined || file === '-' ? process.stdout : createWriteStream(file);
    await capture(where, filter, file !== undefined, out);
  });
program
  .command('status')
  .description('whether the lab runs')
  .action(() => {
    const pids = runningPids();
    process.stdout.write(
      pids.size === 0 ? 'the lab does not run\n' : [...pids].map(([n, pid]) => `${n}: process ${pid}\n`).join(''),
    );
    process.exitCode = pids.size === 2 ? 0 : 1;
  });
program
  .command('stop')
  .description('ends the lab')
  .action(async () => {
    const stopped = await stopAll();
    process.stdout.write(stopped.length ? `stopped: ${stopped.join(', ')}\n` : 'the lab does not run\n');
  });

try {
  await program.parseAsync();
} catch (e) {
  process.stderr.write(`lab: ${(e as Error).message}\n`);
  // Whatever still waits for a guest that has been stopped would hold this process up.
  process.exit(1);
}
