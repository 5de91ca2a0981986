#!/usr/bin/env node
/** `hnvhost`, the overlay on a host: the agent and its `show`. Exit 0 only on success. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { pino } from 'pino';
import { monitorCommand } from '../control/cli/monitor.ts';
import { type Reach, recordCommand } from '../control/cli/record.ts';
import { warmThreadPool } from '../kernel/netns.ts';
import { ServiceNotifier } from '../kernel/notify.ts';
import { formatTable } from '../lib/table.ts';
import { type AgentOptions, ConfigRefused, HostAgent, readConfig } from './agent.ts';
import { HOST_NOUNS, show } from './show.ts';
import { DeviceWatch } from './watch.ts';

/** New devices of VMs are told by the kernel; looking finds what was missed or changed by others. */
const LOOK_SECONDS = 5;

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 86_400)) throw new InvalidArgumentError('seconds, more than 0 and at most 86400.');
  return value;
}

/** The object lies beside the bundle in the product, and in dist/ of a source tree. */
function defaultObject(): string {
  const beside = path.join(import.meta.dirname, 'bpf/overlay.bpf.o');
  return fs.existsSync(beside) ? beside : path.join(import.meta.dirname, '../dist/bpf/overlay.bpf.o');
}

interface Place {
  readonly state: string;
  readonly socket?: string;
}

/** Beside the state unless told otherwise, so that agents of several hosts on one machine do not meet. */
const socketOf = ({ state, socket }: Place): string => socket ?? path.join(state, 'api.sock');

async function run(options: AgentOptions & Place & { readonly look: number }): Promise<void> {
  const log = pino({ name: 'hnvhost' });
  await warmThreadPool();
  const agent = new HostAgent(options, log);
  const service = new ServiceNotifier(process.env);
  const lookMs = Math.min(1000 * options.look, service.watchdogIntervalMs ?? Number.POSITIVE_INFINITY);
  let ended = false;
  let sleep = new AbortController();
  const wake = () => sleep.abort();
  const watch = new DeviceWatch((device) => agent.concerns(device), wake, log);
  const work = (what: Promise<unknown>) =>
    what.catch((e: unknown) => log.error({ err: e }, 'reality could not be read, nothing was changed'));

  process.on('SIGHUP', () => void work(agent.reload()));
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      ended = true;
      wake();
    });

  watch.begin(); // before the first reading, so that no device comes unseen in between
  const first = await agent.reconcile();
  agent.listen();
  // The server is much of the start-up time, and `show` does without.
  const { serveHostApi } = await import('./api.ts');
  const api = await serveHostApi(socketOf(options), agent);
  log.info({ ops: first.done.length, settled: first.settled }, 'the overlay is in place');
  service.ready();
  while (!ended) {
    await delay(lookMs, undefined, { signal: sleep.signal }).catch(() => undefined);
    if (ended) break;
    sleep = new AbortController();
    watch.begin();
    await work(agent.reconcile());
    await work(agent.age());
    service.watchdog();
  }
  service.stopping();
  watch.close();
  await api.close();
  await agent.close();
}

const program = new Command('hnvhost').description('the overlay of a host: VMs as ports, NVGRE between hosts');
const pin = () => new Option('--pin <dir>', 'where the maps are pinned').default('/sys/fs/bpf/hnv-host');
const state = () => new Option('--state <dir>', 'where numbers and records are kept').default('/var/lib/hnv-host');
const socket = () => new Option('--socket <path>', 'API socket (default: api.sock in the state directory)');

program
  .command('run')
  .description('keeps the data plane as the configuration says; SIGHUP reads the file again')
  .requiredOption('--config <file>', 'YAML of this host')
  .addOption(state())
  .addOption(pin())
  .addOption(socket())
  .option('--object <file>', 'overlay.bpf.o', defaultObject())
  .addOption(
    new Option('--look <seconds>', 'how often everything is compared, whatever events tell')
      .argParser(seconds)
      .default(LOOK_SECONDS),
  )
  .action(run);

program
  .command('validate')
  .description('checks a configuration file and changes nothing')
  .argument('<file>')
  .action((file: string) => void readConfig(file));

program
  .command('show')
  .description('what the data plane holds')
  .addArgument(new Argument('<noun>').choices(HOST_NOUNS))
  .addOption(state())
  .addOption(pin())
  .addOption(new Option('-o, --output <form>', 'form of the output').choices(['table', 'json']).default('table'))
  .action((noun: string, options: { pin: string; state: string; output: 'table' | 'json' }) => {
    const rows = show(noun, options);
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(rows, undefined, 2)}\n` : formatTable(rows));
  });

const reach: Reach = {
  options: () => [state(), socket()],
  service: (options) => ({ socket: socketOf(options as unknown as Place), name: 'host agent', unit: '`hnvhost run`' }),
};
program.addCommand(recordCommand(reach)).addCommand(monitorCommand(reach));

try {
  await program.parseAsync();
} catch (e) {
  process.stderr.write(`${e instanceof ConfigRefused ? e.message : `hnvhost: ${(e as Error).message}`}\n`);
  process.exitCode = 1;
}
