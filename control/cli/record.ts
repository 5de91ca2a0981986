/** `record new|get|set|remove KIND`, the same for the gateway and for a host: the options are the cmdlets' properties. */
import { Command, Option } from 'commander';
import { isNetworkKind, RECORD_KINDS, type RecordKind } from '../../encap/records.ts';
import { formatTable, type Row } from '../../lib/table.ts';
import { type Answer, request, type Service } from '../io/client.ts';
import { KEY_PROPERTIES, NETWORK_PROPERTIES, PROPERTIES, type Properties } from '../properties.ts';
import { explainRecordRefusal } from '../refusal.ts';
import type { RecordVerb } from '../request.ts';

/** `MACAddress` → `mac-address`. */
const flagOf = (property: string): string =>
  property
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();

const namesOf = (kind: RecordKind): readonly string[] =>
  isNetworkKind(kind) ? [...NETWORK_PROPERTIES, ...PROPERTIES[kind]] : PROPERTIES[kind];

const withProperties = (command: Command, kind: RecordKind): Command => {
  for (const name of namesOf(kind)) command.addOption(new Option(`--${flagOf(name)} <text>`, name));
  return command;
};

export const reaching = (command: Command, options: readonly Option[]): Command => {
  for (const option of options) command.addOption(option);
  return command;
};

/** What of the options are properties; commander has them in camel case. */
function given(kind: RecordKind, options: Readonly<Record<string, string>>): Properties {
  const camel = (flag: string) => flag.replace(/-(\w)/g, (_, c: string) => c.toUpperCase());
  return Object.fromEntries(
    namesOf(kind).flatMap((name) => {
      const value = options[camel(flagOf(name))];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

const output = () =>
  new Option('-o, --output <form>', 'form of the output').choices(['table', 'json']).default('table');

const VERBS: { readonly [V in RecordVerb]: (kind: RecordKind) => string } = {
  new: (kind) => `adds a ${kind}`,
  set: (kind) => `changes the given properties of the ${kind} that is named by ${KEY_PROPERTIES[kind]}`,
  remove: (kind) => `takes away the ${kind} that is named by ${KEY_PROPERTIES[kind]}`,
};

const checked = ({ status, body }: Answer): unknown => {
  if (status !== 200) throw new Error(explainRecordRefusal(body));
  return body;
};

/** Where the commands find the process: options of theirs, and what these say. */
export interface Reach {
  readonly options: () => readonly Option[];
  readonly service: (options: Readonly<Record<string, string>>) => Service;
}

export function recordCommand({ options: reach, service }: Reach): Command {
  const record = new Command('record').description(
    'policy records at run time; those of the file change with the file',
  );
  for (const verb of Object.keys(VERBS) as RecordVerb[]) {
    const group = record.command(verb);
    for (const kind of RECORD_KINDS)
      reaching(withProperties(group.command(kind).description(VERBS[verb](kind)), kind), reach()).action(
        async (options) => {
          const changes = [{ verb, kind, properties: given(kind, options) }];
          const { ops } = checked(await request(service(options), 'POST', '/v1/records', { changes })) as {
            ops: unknown[];
          };
          process.stdout.write(`done, ${ops.length} ${ops.length === 1 ? 'operation' : 'operations'}\n`);
        },
      );
  }
  const get = record.command('get');
  for (const kind of RECORD_KINDS)
    reaching(
      withProperties(get.command(kind).description(`prints every ${kind} that has the given properties`), kind),
      reach(),
    )
      .addOption(output())
      .action(async (options) => {
        const query = new URLSearchParams(given(kind, options)).toString();
        const rows = checked(
          await request(service(options), 'GET', `/v1/records/${kind}${query && `?${query}`}`),
        ) as Row[];
        process.stdout.write(options.output === 'json' ? `${JSON.stringify(rows, undefined, 2)}\n` : formatTable(rows));
      });
  return record;
}
