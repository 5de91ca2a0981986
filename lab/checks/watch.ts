/** Sends crafted packets, each kind followed by a harmless one that must arrive, and tells what came where and which counters moved. */
import { randomUUID } from 'node:crypto';
import { GATEWAY, MACDFGW } from '../fabrikam.ts';
import { until } from '../machine.ts';
import { ethernet } from '../pcap/craft.ts';
import { type CapturedFrame, parsePcap } from '../pcap/file.ts';
import { ETHERTYPE } from '../pcap/frame.ts';
import { framesWith } from '../pcap/wire.ts';
import type { HostName } from '../world/host-yaml.ts';
import { arrivalsAt, type World } from '../world/world.ts';
import type { Finding, Scene } from './check.ts';

/** A harmless packet that takes the way of an attack and must arrive. */
export interface Control {
  readonly from: string; // namespace
  readonly device: string;
  readonly to: string; // namespace
  readonly frame: Uint8Array;
}

export interface Sent {
  readonly from: string; // namespace
  readonly device: string;
  readonly frames: readonly Uint8Array[];
  readonly marker: string; // in each of the frames
  readonly control: Control;
  readonly harmless: string; // in the control's frame
}

export const marked = (what: string): string => `${what}-${randomUUID()}`;

async function arrivals(
  world: World,
  places: readonly string[],
): Promise<ReadonlyMap<string, readonly CapturedFrame[]>> {
  const files = await world.captures(places.map(arrivalsAt));
  return new Map(
    places.map((netns, i) => {
      const capture = parsePcap(files[i]!);
      if (!capture.ok) throw new Error(`the capture of arrivals at ${netns} is damaged: ${capture.error}`);
      return [netns, capture.value.frames];
    }),
  );
}

/**
 * Sends all attacks and then their controls. When a control has arrived, the packets sent before it on the same way have had
 * their chance. Resolves with a function that counts the frames with a marker at a place, when all controls have arrived or half
 * a minute has passed.
 */
export async function watched(
  world: World,
  places: readonly string[],
  sent: readonly Sent[],
): Promise<(netns: string, marker: string) => number> {
  await world.inject([...sent, ...sent.map(({ control }) => ({ ...control, frames: [control.frame] }))]);
  let came: Awaited<ReturnType<typeof arrivals>> = new Map();
  const count = (netns: string, marker: string) => framesWith(came.get(netns) ?? [], [marker]);
  const all = () => sent.every(({ control, harmless }) => count(control.to, harmless) > 0);
  await until('all control packets to arrive', 30_000, async () => {
    came = await arrivals(world, places);
    return all() ? true : undefined;
  }).catch(() => undefined);
  return count;
}

/** Where drops are counted: the gateway or a host. */
export type Counting = typeof GATEWAY.name | HostName;
type Counters = ReadonlyMap<string, number>; // `<routing domain> <reason>` → packets
type AllCounters = ReadonlyMap<Counting, Counters>;

export async function counters(scene: Scene, where: readonly Counting[]): Promise<AllCounters> {
  const readings = where.map(async (place): Promise<[Counting, Counters]> => {
    const rows = place === GATEWAY.name ? (await scene.gateway.read('drops')).drops : await scene.world.drops(place);
    const counts = new Map<string, number>();
    // A reason has a row for each direction.
    for (const r of rows) {
      const key = `${r.RoutingDomain || '-'} ${r.Reason}`;
      counts.set(key, (counts.get(key) ?? 0) + r.Packets);
    }
    return [place, counts];
  });
  return new Map(await Promise.all(readings));
}

/** Which counters went up from one reading to the next, and by how much. */
export const moved = (before: AllCounters, after: AllCounters): AllCounters =>
  new Map(
    [...after].map(([where, now]) => {
      const rows = [...now].map(([key, n]): [string, number] => [key, n - (before.get(where)?.get(key) ?? 0)]);
      return [where, new Map(rows.filter(([, n]) => n > 0))];
    }),
  );

/** A finding that the counters of these tenants (`-` = of nobody known) and this reason went up by at least `packets`. */
export function told(
  drops: Counters,
  where: Counting,
  tenants: readonly string[],
  reason: string,
  packets: number,
): Finding {
  const matching = [...drops].filter(([key]) => tenants.some((tenant) => key === `${tenant} ${reason}`));
  const list = (rows: readonly (readonly [string, number])[]) => rows.map(([key, n]) => `${key} +${n}`).join(', ');
  if (matching.reduce((n, [, count]) => n + count, 0) >= packets) return [true, `${where} counted ${list(matching)}`];
  const wanted = `${reason} of ${tenants.join(' or ')}`;
  return [false, `${where} did not count ${packets} × ${wanted}; counters that moved: ${list([...drops]) || 'none'}`];
}

/** A tenant's VM sends an IPv4 packet to the distributed router. */
export const toRouter = (vm: { readonly mac: string }, packet: Uint8Array): Uint8Array =>
  ethernet(vm.mac, MACDFGW, ETHERTYPE.IPV4, packet);
