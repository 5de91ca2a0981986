/** `monitor drops` and `monitor learned`: what happens, line by line, until the operator ends it. */
import { Argument, Command, Option } from 'commander';
import type { Notice } from '../hub.ts';
import { follow } from '../io/client.ts';
import { type Reach, reaching } from './record.ts';

type Line = Notice | { readonly type: 'lost'; readonly events: number };

const NOUNS = { drops: 'dropped', learned: 'learned' } as const;
type Noun = keyof typeof NOUNS;

/** One line for people; columns keep their width as far as the values let them. */
export function monitorLine(n: Line): string {
  switch (n.type) {
    case 'lost':
      return `(${n.events} events were lost: this terminal is too slow)`;
    case 'dropped':
      return [
        (n.RoutingDomain || '-').padEnd(16),
        n.Reason.padEnd(16),
        n.Direction.padEnd(4),
        n.Port.padEnd(15),
        String(n.Length).padStart(5),
        n.Frame,
      ].join(' ');
    case 'learned':
      return [
        n.Change.padEnd(7),
        n.RoutingDomain.padEnd(16),
        String(n.VirtualSubnetID).padEnd(8),
        n.CustomerAddress.padEnd(15),
        n.MACAddress,
        n.ProviderAddress,
        n.Reason ?? '',
      ]
        .join(' ')
        .trimEnd();
  }
}

export const monitorCommand = ({ options: reach, service }: Reach): Command =>
  reaching(new Command('monitor'), reach())
    .description('prints what happens as it happens: a sample of dropped frames, or what is learned')
    .addArgument(new Argument('<noun>').choices(Object.keys(NOUNS)))
    .option('--routing-domain <name>', 'of one routing domain')
    .addOption(new Option('-o, --output <form>', 'form of the lines').choices(['table', 'json']).default('table'))
    .action(async (noun: Noun, options: Readonly<Record<string, string>>) => {
      await follow(service(options), `/v1/events?type=${NOUNS[noun]}`, (value) => {
        const line = value as Line;
        if (options.routingDomain !== undefined && line.type !== 'lost' && line.RoutingDomain !== options.routingDomain)
          return;
        process.stdout.write(`${options.output === 'json' ? JSON.stringify(line) : monitorLine(line)}\n`);
      });
    });
