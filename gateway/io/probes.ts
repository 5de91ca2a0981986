/**
 * Asks the DIPs of load-balancing rules how they are (R-NAT-6), each from inside its tenant's compartment at its interval. What
 * the answers mean is decided in `nat/probe.ts`. Health is kept by rule and DIP, so a change of the configuration forgets none.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { LoadBalancerProbe, LoadBalancingRule } from '../../compartments/nat.ts';
import { netnsOf } from '../../compartments/numbers.ts';
import { slotOf } from '../../compartments/slots.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { probe } from '../../kernel/probe.ts';
import type { Address } from '../../lib/address.ts';
import { type Health, probeAnswer, probed, probeRequest, UNKNOWN_HEALTH } from '../../nat/probe.ts';
import { netNatsOf } from '../nat.ts';
import type { Running } from '../running.ts';

interface Asked {
  readonly rule: LoadBalancingRule;
  readonly probe: LoadBalancerProbe;
  readonly dip: Address;
  readonly netns: string;
  health: Health;
  timer?: NodeJS.Timeout;
}

const keyOf = (rule: string, dip: Address): string => `${dip} ${rule}`;

export class Probes {
  readonly #namespaces = new Namespaces();
  readonly #asked = new Map<string, Asked>();
  readonly #changed: () => void;
  readonly #log: Logger;

  /** @param changed a DIP's health is another. */
  constructor(changed: () => void, log: Logger) {
    this.#changed = changed;
    this.#log = log;
  }

  healthy(rule: string, dip: Address): boolean {
    return this.#asked.get(keyOf(rule, dip))?.health.healthy ?? true;
  }

  /** Asks the DIPs of this configuration from now on, and no others. */
  follow({ config, table }: Running): void {
    const wanted = new Map<string, Asked>();
    for (const rule of netNatsOf(config).flatMap((n) => n.loadBalancingRules)) {
      if (!rule.probe) continue;
      const netns = netnsOf(slotOf(table, rule.routingDomainId));
      for (const { ipAddress: dip } of rule.backends)
        wanted.set(keyOf(rule.name, dip), { rule, probe: rule.probe, dip, netns, health: UNKNOWN_HEALTH });
    }
    for (const [key, asked] of this.#asked) {
      const same = wanted.get(key);
      if (same && isDeepStrictEqual(same.probe, asked.probe) && same.netns === asked.netns) wanted.delete(key);
      else {
        clearTimeout(asked.timer);
        this.#asked.delete(key);
        if (same) same.health = asked.health;
        else this.#namespaces.close(asked.netns);
      }
    }
    let place = 0;
    for (const [key, asked] of wanted) {
      this.#asked.set(key, asked);
      // Spread over the interval, so that many DIPs are not asked at once.
      this.#later(asked, (1000 * asked.probe.intervalSeconds * place++) / wanted.size);
    }
  }

  #later(asked: Asked, milliseconds: number): void {
    asked.timer = setTimeout(() => void this.#ask(asked), milliseconds).unref();
  }

  async #ask(asked: Asked): Promise<void> {
    const { rule, dip, probe: p, netns } = asked;
    const began = performance.now();
    const success = await this.#answers(asked).catch(() => false);
    if (this.#asked.get(keyOf(rule.name, dip)) !== asked) return; // no longer wanted
    const before = asked.health;
    asked.health = probed(before, success, p.numberOfProbes);
    if (asked.health.healthy !== before.healthy) {
      this.#log.info({ rule: rule.name, dip, netns, healthy: asked.health.healthy }, 'health of a DIP changed');
      this.#changed();
    }
    this.#later(asked, Math.max(0, 1000 * p.intervalSeconds - (performance.now() - began)));
  }

  #answers({ rule, probe: p, dip, netns }: Asked): Promise<boolean> {
    const exchange = {
      address: dip,
      port: p.port,
      ...(p.protocol === 'HTTP' && {
        request: Buffer.from(probeRequest(p, `${rule.frontendIpAddress}:${rule.frontendPort}`)),
        judge: probeAnswer,
      }),
    };
    return probe((work) => this.#namespaces.visit(netns, work), exchange, 1000 * p.intervalSeconds);
  }
}
