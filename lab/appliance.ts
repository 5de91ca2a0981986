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

export class Appliance {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  hnvgw(...args: readonly string[]): Promise<Done> {
    return this.machine.exec(['hnvgw', ...args], { timeoutMs: 60_000 });
  }

  async show<N extends keyof Shown>(noun: N, routingDomain?: string): Promise<readonly Shown[N][]> {
    const scope = routingDomain ? ['--routing-domain', routingDomain] : [];
    return JSON.parse(await must(this.machine, ['hnvgw', 'show', noun, ...scope, '-o', 'json'], { timeoutMs: 60_000 }));
  }

  /** The operations that would still be needed to make reality as the file says. */
  async planned(file = CONFIG): Promise<readonly string[]> {
    const answer = JSON.parse(await must(this.machine, ['hnvgw', 'plan', file, '-o', 'json'], { timeoutMs: 60_000 }));
    return (answer as { ops: readonly { text: string }[] }).ops.map((op) => op.text);
  }

  async tunnelState(name: string): Promise<string> {
    return (await this.show('s2s')).find((r) => r.Name === name)?.ConnectionState ?? 'absent';
  }

  /** Waits until the interface shows the state. */
  tunnel(name: string, state: string, ms = 60_000): Promise<true> {
    return until(`${name} ${state}`, ms, async (): Promise<true> => {
      const now = await this.tunnelState(name);
      if (now === state) return true;
      throw new Error(`it is ${now}`);
    });
  }

  /** The usable routes of a tenant (guards and the kernel's local routes left out), in a comparable form. */
  async routes(routingDomain: string): Promise<readonly string[]> {
    return (await this.show('routes', routingDomain))
      .filter((r) => r.Type === 'unicast' && r.Protocol !== 'Local')
      .map((r) => `${r.DestinationPrefix} via ${r.NextHop} dev ${r.InterfaceAlias} metric ${r.RouteMetric}`)
      .sort();
  }

  /** Process id of the gateway's main process, 0 when it does not run. */
  async mainPid(): Promise<number> {
    return Number(await must(this.machine, ['systemctl', 'show', '-p', 'MainPID', '--value', GATEWAY_UNIT]));
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
