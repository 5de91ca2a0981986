#!/usr/bin/env node
/** `hnvgw`, the operator's command line. Tables for people, `-o json` for programs, exit 0 only on success (R-OPS-1, R-OPS-3). */
import fs from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import { formatConfigError } from '../../config/error.ts';
import { monitorCommand } from '../../control/cli/monitor.ts';
import { recordCommand } from '../../control/cli/record.ts';
import { type Answer, request, type Service } from '../../control/io/client.ts';
import { formatTable, type Row } from '../../lib/table.ts';
import { secretReader } from '../io/secret.ts';
import type { Status } from '../settled.ts';
import { NOUNS } from '../show/show.ts';
import { explainRefusal, explainStatus } from './refusal.ts';

const program = new Command('hnvgw').description('operates the hnv-gateway on this machine').showHelpAfterError();
program.addOption(new Option('--socket <path>', 'API socket of the gateway').default('/run/hnv-gateway/api.sock'));

const output = () =>
  new Option('-o, --output <form>', 'form of the output').choices(['table', 'json']).default('table');
interface Output {
  readonly output: 'table' | 'json';
}

class Failure extends Error {}

/** As systemctl(1) says "not running" and the like; 1 is for what could not be asked. */
const NOT_SETTLED = 3;

const service = (): Service => ({
  socket: program.opts<{ socket: string }>().socket,
  name: 'gateway',
  unit: 'hnv-gateway.service',
});
const call = (method: 'GET' | 'POST', url: string, body?: unknown): Promise<Answer> =>
  request(service(), method, url, body);

function readSource(file: string): { file: string; text: string } {
  try {
    return { file: path.resolve(file), text: fs.readFileSync(file, 'utf8') };
  } catch (e) {
    throw new Failure(`${file} cannot be read: ${(e as Error).message}`);
  }
}

/** Shows progress on a person's terminal when the answer takes more than two seconds. */
async function patiently<T>(what: string, work: Promise<T>): Promise<T> {
  const started = Date.now();
  const timer = setInterval(() => {
    if (process.stderr.isTTY) process.stderr.write(`\r${what} … ${Math.round((Date.now() - started) / 1000)} s `);
  }, 1000);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    if (process.stderr.isTTY && Date.now() - started > 1000) process.stderr.write('\r\x1b[K');
  }
}

interface PlannedOps {
  readonly impact: string;
  readonly notes: readonly string[];
  readonly ops: readonly { text: string; routingDomain: string }[];
}

async function change(verb: 'plan' | 'apply', file: string, form: Output['output']): Promise<void> {
  const { status, body } = await patiently(verb, call('POST', `/v1/${verb}`, readSource(file)));
  if (form === 'json') process.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
  if (status !== 200) throw new Failure(explainRefusal(body));
  if (form === 'json') return;
  const { ops, impact, notes } = body as PlannedOps;
  for (const op of ops) process.stdout.write(`${op.routingDomain ? `${op.routingDomain}: ` : ''}${op.text}\n`);
  const count = `${ops.length} ${ops.length === 1 ? 'operation' : 'operations'}`;
  const planned = ops.length === 0 ? 'nothing to do' : `${count}, impact: ${impact}`;
  process.stdout.write(verb === 'plan' ? `${planned}\n` : `applied, ${count}\n`);
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
}

program
  .command('validate')
  .description('checks a configuration file without the gateway')
  .argument('<file>')
  .action(async (file: string) => {
    // The schemas are most of the start-up time, and only this command needs them.
    const { loadGateway } = await import('../../config/load.ts');
    const source = readSource(file);
    const loaded = loadGateway(file, source.text, secretReader(path.dirname(source.file)));
    if (!loaded.ok) throw new Failure(loaded.error.map(formatConfigError).join('\n'));
    process.stdout.write(`${file}: valid, ${loaded.value.compartments.length} routing domains\n`);
  });

for (const [verb, description] of [
  ['plan', 'prints what apply would change'],
  ['apply', 'makes the configuration the one in force: all of it or nothing'],
] as const)
  program
    .command(verb)
    .description(description)
    .argument('<file>')
    .addOption(output())
    .action((file: string, options: Output) => change(verb, file, options.output));

program
  .command('status')
  .description(`whether all of the configuration is there; exit ${NOT_SETTLED} when not, or when there is none`)
  .addOption(output())
  .action(async (options: Output) => {
    const { status, body } = await call('GET', '/v1/status');
    if (status !== 200) throw new Failure((body as { message?: string }).message ?? `the gateway answered ${status}`);
    const answer = body as Status;
    process.stdout.write(
      options.output === 'json' ? `${JSON.stringify(answer, undefined, 2)}\n` : explainStatus(answer),
    );
    if (!answer.settled) process.exitCode = NOT_SETTLED;
  });

program
  .command('show')
  .description(`shows ${NOUNS.join(', ')}`)
  .addArgument(program.createArgument('<noun>').choices(NOUNS))
  .option('--routing-domain <name>', 'of one routing domain')
  .addOption(output())
  .action(async (noun: string, options: Output & { routingDomain?: string }) => {
    const query =
      options.routingDomain === undefined ? '' : `?routingDomain=${encodeURIComponent(options.routingDomain)}`;
    const { status, body } = await call('GET', `/v1/show/${noun}${query}`);
    if (status !== 200) throw new Failure((body as { message?: string }).message ?? `the gateway answered ${status}`);
    const rows = body as readonly Row[];
    process.stdout.write(options.output === 'json' ? `${JSON.stringify(rows, undefined, 2)}\n` : formatTable(rows));
  });

const reach = { options: () => [], service };
program.addCommand(recordCommand(reach)).addCommand(monitorCommand(reach));

try {
  await program.parseAsync();
} catch (e) {
  process.stderr.write(`${e instanceof Failure ? e.message : `hnvgw: ${(e as Error).message}`}\n`);
  process.exitCode = 1;
}
