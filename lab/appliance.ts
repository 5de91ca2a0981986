/** The appliance as its operator uses it: `hnvgw`, systemctl, files. */
import { type Done, type Machine, must, until } from './machine.ts';

export interface CompartmentRow {
  readonly CompartmentId: number;
  readonly CompartmentDescription: string;
  readonly CompartmentGuid: string;
  readonly Namespace: string;
}
export interface InterfaceRow {
  readonly RoutingDomain: string;
  readonly InterfaceAlias: string;
  readonly IPAddress: readonly string[];
  readonly Status: string;
}
export interface RouteRow {
  readonly RoutingDomain: string;
  readonly DestinationPrefix: string;
  readonly NextHop: string;
  readonly InterfaceAlias: string;
  readonly RouteMetric: number;
  readonly Type: string;
  readonly Protocol: string; // Local = the kernel's own, for an address
}
export interface S2sRow {
  readonly RoutingDomain: string;
  readonly Name: string;
  readonly ConnectionState: string;
}
export interface DropRow {
  readonly RoutingDomain: string;
  readonly Reason: string;
  readonly Packets: number;
}
/** The API's answer to a configuration that does not hold. */
export interface Refused {
  readonly status: number;
  readonly body: {
    readonly errors?: readonly {
      readonly file: string;
      readonly line: number;
      readonly path: string;
      readonly problem: string;
      readonly cure: string;
    }[];
  };
}
export interface Shown {
  readonly compartments: CompartmentRow;
  readonly interfaces: InterfaceRow;
  readonly routes: RouteRow;
  readonly s2s: S2sRow;
  readonly drops: DropRow;
}

export const CONFIG_DIR = '/media/hnv-config';
export const CONFIG = `${CONFIG_DIR}/gateway.yaml`;
export const SECRETS_DIR = `${CONFIG_DIR}/secrets`;
export const GATEWAY_UNIT = 'hnv-gateway.service';
export const CHARON_UNIT = 'hnv-charon.service';

const CURL = ['curl', '-sS', '--fail', '--unix-socket', '/run/hnv-gateway/api.sock', '-w', '\\n'] as const;

export const stateOf = (rows: readonly S2sRow[], name: string): string =>
  rows.find((r) => r.Name === name)?.ConnectionState ?? 'absent';

export const statusOf = (rows: readonly InterfaceRow[], alias: string): string =>
  rows.find((r) => r.InterfaceAlias === alias)?.Status ?? 'absent';

/** The usable routes of a tenant (guards and the kernel's local routes left out), in a comparable form. */
export const routesOf = (rows: readonly RouteRow[], routingDomain: string): readonly string[] =>
  rows
    .filter((r) => r.RoutingDomain === routingDomain && r.Type === 'unicast' && r.Protocol !== 'Local')
    .map((r) => `${r.DestinationPrefix} via ${r.NextHop} dev ${r.InterfaceAlias} metric ${r.RouteMetric}`)
    .sort();

export class Appliance {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  hnvgw(...args: readonly string[]): Promise<Done> {
    return this.machine.exec(['hnvgw', ...args], { timeoutMs: 60_000 });
  }

  /** Objects by the operator's command. */
  async show<N extends keyof Shown>(noun: N): Promise<readonly Shown[N][]> {
    return JSON.parse(await must(this.machine, ['hnvgw', 'show', noun, '-o', 'json'], { timeoutMs: 60_000 }));
  }

  /** Several nouns in one visit, from the API itself: `hnvgw` would start Node for each, in an emulated machine. */
  async read<N extends keyof Shown>(...nouns: readonly N[]): Promise<{ readonly [K in N]: readonly Shown[K][] }> {
    const urls = nouns.map((noun) => `http://gateway/v1/show/${noun}`);
    const lines = (await must(this.machine, [...CURL, ...urls])).trimEnd().split('\n');
    return Object.fromEntries(nouns.map((noun, i) => [noun, JSON.parse(lines[i]!)])) as never;
  }

  /** The operations that would still be needed to make reality as a text says that stands for the file at CONFIG. */
  async stillNeeded(text: string): Promise<readonly string[]> {
    const argv = [...CURL, '--json', '@-', 'http://gateway/v1/plan'];
    const answer = await must(this.machine, argv, { stdin: JSON.stringify({ file: CONFIG, text }), timeoutMs: 60_000 });
    return (JSON.parse(answer) as { ops: readonly { text: string }[] }).ops.map((op) => op.text);
  }

  /** Applies a file from the API; rejects when it is refused. */
  async apply(file: string, text: string): Promise<void> {
    const argv = [...CURL, '--json', '@-', 'http://gateway/v1/apply'];
    await must(this.machine, argv, { stdin: JSON.stringify({ file, text }), timeoutMs: 60_000 });
  }

  /** Applies files that must be refused, in one visit, each file's path and text; status and body of each answer. */
  async refusals(files: readonly { readonly path: string; readonly text: string }[]): Promise<readonly Refused[]> {
    const bodies = files.map(({ path, text }) => Buffer.from(JSON.stringify({ file: path, text })).toString('base64'));
    const [program, ...options] = CURL.filter((word) => word !== '--fail');
    const curl = `${program} ${options.map((word) => `'${word}'`).join(' ')} -w '\\n%{http_code}\\n'`;
    const script = bodies.map((b) => `echo ${b} | base64 -d | ${curl} --json @- http://gateway/v1/apply`).join('\n');
    const lines = (await must(this.machine, ['sh', '-s'], { stdin: script, timeoutMs: 60_000 })).split('\n');
    return files.map((_, i) => ({
      status: Number(lines[2 * i + 1]),
      body: JSON.parse(lines[2 * i]!) as Refused['body'],
    }));
  }

  /** Waits until the interfaces show the state. */
  tunnels(names: readonly string[], state: string, ms = 60_000): Promise<true> {
    return until(`${names.join(', ')} ${state}`, ms, async (): Promise<true> => {
      const { s2s } = await this.read('s2s');
      const others = names.filter((name) => stateOf(s2s, name) !== state);
      if (others.length === 0) return true;
      throw new Error(others.map((name) => `${name} is ${stateOf(s2s, name)}`).join(', '));
    });
  }

  /** `kill -9` of the gateway's main process; resolves with its id. With `stay`, systemd is kept from starting another. */
  async kill(stay = false): Promise<number> {
    const script = `pid=$(systemctl show -p MainPID --value ${GATEWAY_UNIT}) && kill -9 "$pid" && echo "$pid"
${stay ? `systemctl stop ${GATEWAY_UNIT}` : ''}`;
    return Number(await must(this.machine, ['sh', '-ec', script]));
  }

  /** Waits until the gateway has told systemd that it is ready, as another process than `former`. */
  ready(former = 0, ms = 240_000): Promise<number> {
    return until('the gateway to be ready', ms, async () => {
      const argv = ['systemctl', 'show', '-p', 'ActiveState', '-p', 'MainPID', '--value', GATEWAY_UNIT];
      const words = (await must(this.machine, argv)).trim().split(/\s+/);
      const pid = Number(words.find((w) => /^\d+$/.test(w)));
      if (words.includes('active') && pid > 0 && pid !== former) return pid;
      throw new Error(`it is ${words.join(', process ')}`);
    });
  }

  /** The last lines of the gateway's and charon's log. */
  journal(lines = 20): Promise<string> {
    const units = ['-u', GATEWAY_UNIT, '-u', CHARON_UNIT];
    return must(this.machine, ['journalctl', ...units, '--no-pager', '-o', 'cat', '-n', String(lines)]);
  }
}
