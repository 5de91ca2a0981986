/** `nat sessions|blocks|pressure|mappings|vips|who`: what the NAT has, and who had an external address and port (R-NAT-5). */
import { Command, Option } from 'commander';
import { type Answer, request, type Service } from '../../control/io/client.ts';
import { formatTable, type Row } from '../../lib/table.ts';

const NOUNS = {
  sessions: 'sessions, as Get-NetNatSession has them',
  blocks: 'port blocks and who has them',
  pressure: 'how near pools, tenants and hosts are to their limits',
  mappings: 'static and dynamic mappings',
  vips: 'load-balanced services and the health of their DIPs',
} as const;

const output = () =>
  new Option('-o, --output <form>', 'form of the output').choices(['table', 'json']).default('table');

const checked = ({ status, body }: Answer): unknown => {
  if (status !== 200) throw new Error((body as { message?: string }).message ?? `the gateway answered ${status}`);
  return body;
};
const print = (text: string) => process.stdout.write(text);
const json = (value: unknown) => print(`${JSON.stringify(value, undefined, 2)}\n`);

/** Rows of several sorts, told apart by `Of`, as a table each. */
function tables(rows: readonly Row[]): string {
  const sorts = [...new Set(rows.map((r) => r.Of))];
  return sorts
    .map((sort) => formatTable(rows.filter((r) => r.Of === sort).map(({ Of: _, ...rest }) => rest)))
    .join('\n');
}

export function natCommand(service: () => Service): Command {
  const nat = new Command('nat').description('what the NAT has');
  for (const [noun, description] of Object.entries(NOUNS))
    nat
      .command(noun)
      .description(description)
      .option('--routing-domain <name>', 'of one routing domain')
      .option('--limit <number>', 'rows at most, of sessions and mappings', '1000')
      .addOption(output())
      .action(async (options: { routingDomain?: string; limit: string; output: string }) => {
        const query = new URLSearchParams({
          limit: options.limit,
          ...(options.routingDomain !== undefined && { routingDomain: options.routingDomain }),
        });
        const { total, rows } = checked(await request(service(), 'GET', `/v1/nat/${noun}?${query}`)) as {
          total: number;
          rows: readonly Row[];
        };
        if (options.output === 'json') json(rows);
        else print(tables(rows));
        if (total > rows.length)
          process.stderr.write(`${rows.length} of ${total}; --limit ${total} or --routing-domain shows others\n`);
      });
  nat
    .command('who')
    .description('whose an external address and port were at a time')
    .argument('<address:port>')
    .option('--at <time>', 'UTC as 2026-11-22T10:00:00Z, or with an offset; now when absent')
    .addOption(output())
    .action(async (endpoint: string, options: { at?: string; output: string }) => {
      const query = new URLSearchParams({ endpoint, ...(options.at !== undefined && { at: options.at }) });
      const answer = checked(await request(service(), 'GET', `/v1/nat/who?${query}`)) as {
        tenants: readonly Row[];
        inside: readonly Row[];
      };
      if (options.output === 'json') {
        json(answer);
        return;
      }
      if (answer.tenants.length === 0 && answer.inside.length === 0) {
        print('nobody\n');
        return;
      }
      print(formatTable(answer.tenants));
      if (answer.inside.length) print(`${answer.tenants.length ? '\n' : ''}${formatTable(answer.inside)}`);
    });
  return nat;
}
