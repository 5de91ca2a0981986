/**
 * What the kernel counts of a compartment by itself: packets that no route leads on (RFC 4293 ipSystemStatsInNoRoutes and
 * ipSystemStatsOutNoRoutes, both families together). Counted by the namespace since it was made; reading costs nothing on the
 * packets' way.
 */
import fs from 'node:fs';
import type { Netns } from '../compartments/resource.ts';
import type { Namespaces } from './namespaces.ts';

export interface WithoutRoute {
  /** Came in to be forwarded; the sender was told (ICMP destination unreachable), as often as the kernel's rate limit lets it. */
  readonly in: number;
  /** The compartment's own. */
  readonly out: number;
}

/**
 * /proc/net/snmp and /proc/net/netstat: pairs of lines `Ip: NAME …` and `Ip: VALUE …`. Names become `Ip.NAME`; what does not
 * fit is left out.
 */
export function parsePairs(text: string): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  const lines = text.split('\n').map((line) => line.split(' '));
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [names, values] = [lines[i]!, lines[i + 1]!];
    const [table] = names;
    if (!table?.endsWith(':') || values[0] !== table) continue;
    for (let at = 1; at < names.length && at < values.length; at++)
      counters.set(`${table.slice(0, -1)}.${names[at]}`, Number(values[at]));
  }
  return counters;
}

/** /proc/net/snmp6: a line `Ip6NAME VALUE` each. */
export function parseLines(text: string): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name, value] = line.split(/\s+/);
    if (name && value) counters.set(name, Number(value));
  }
  return counters;
}

/** Throws ENOENT when there is no such namespace. */
export function withoutRoute(namespaces: Namespaces, netns: Netns): WithoutRoute {
  const [snmp, netstat, snmp6] = namespaces.visit(netns, () =>
    ['snmp', 'netstat', 'snmp6'].map((name) => fs.readFileSync(`/proc/thread-self/net/${name}`, 'utf8')),
  );
  const of4 = new Map([...parsePairs(snmp!), ...parsePairs(netstat!)]);
  const of6 = parseLines(snmp6!);
  return {
    in: (of4.get('IpExt.InNoRoutes') ?? 0) + (of6.get('Ip6InNoRoutes') ?? 0),
    out: (of4.get('Ip.OutNoRoutes') ?? 0) + (of6.get('Ip6OutNoRoutes') ?? 0),
  };
}
