/** `monitor drops` and `monitor learned`: what happens, line by line, until the operator ends it. */
import { Argument, Command, Option } from 'commander';
import type { Notice, SamplingNotice } from '../hub.ts';
import { follow } from '../io/client.ts';
import { type Reach, reaching } from './record.ts';

type Line = Notice | SamplingNotice | { readonly type: 'lost'; readonly events: number };

const NOUNS = { drops: 'dropped', learned: 'learned' } as const;
type Noun = keyof typeof NOUNS;

const dropLine = (domain: string, reason: string, from: string, device: string, bytes: string, frame: string): string =>
  [domain.padEnd(16), reason.padEnd(16), from.padEnd(4), device.padEnd(15), bytes.padStart(5), frame].join(' ');

/** One line for people; columns keep their width as far as the values let them. */
export function monitorLine(n: Line): string {
  switch (n.type) {
    case 'lost':
      return `(${n.events} events were lost: this terminal is too slow)`;
    case 'sampling':
      return `(a sample: at most ${n.PerSecondAndCPU} a second on each CPU, ${n.Burst} at once; \`show drops\` counts all)\n${dropLine(
        'ROUTING DOMAIN',
        'REASON',
        'FROM',
        'DEVICE',
        'BYTES',
        'FRAME',
      )}`;
    case 'dropped':
      return dropLine(n.RoutingDomain || '-', n.Reason, n.Direction, n.Port, String(n.Length), n.Frame);
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
        const whose = 'RoutingDomain' in line ? line.RoutingDomain : undefined;
        if (options.routingDomain !== undefined && whose !== undefined && whose !== options.routingDomain) return;
        process.stdout.write(`${options.output === 'json' ? JSON.stringify(line) : monitorLine(line)}\n`);
      });
    });
