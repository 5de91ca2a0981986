/** Looks whether crafted packets arrive anywhere, with a harmless packet that must arrive as the control, and which counters tell. */
import { randomUUID } from 'node:crypto';
import { CONTOSO, GATEWAY, MACDFGW, type Vm } from '../fabrikam.ts';
import { until } from '../machine.ts';
import { echoRequest, ethernet } from '../pcap/craft.ts';
import { parsePcap } from '../pcap/file.ts';
import { ETHERTYPE } from '../pcap/frame.ts';
import { framesWith } from '../pcap/wire.ts';
import type { HostName } from '../world/host-yaml.ts';
import { arrivalsAt, type World } from '../world/world.ts';
import type { Finding, Scene } from './check.ts';

async function seen(world: World, netns: string, marker: string): Promise<number> {
  const capture = parsePcap(await world.capture(arrivalsAt(netns)));
  if (!capture.ok) throw new Error(`the capture of arrivals at ${netns} is damaged: ${capture.error}`);
  return framesWith(capture.value.frames, [marker]);
}

/**
 * Runs `send`, then lets Contoso's VM on host1 ping its neighbour on host2 with a marked packet. When that one has arrived, the
 * packets sent before it have had their chance. Findings: per place that nothing with `marker` came.
 */
export async function nothingArrives(
  world: World,
  places: readonly string[],
  marker: string,
  send: () => Promise<void>,
): Promise<readonly Finding[]> {
  const [from, to] = CONTOSO.vms as readonly [Vm, Vm];
  await send();
  const control = `harmless-${randomUUID()}`;
  const frame = ethernet(from.mac, to.mac, ETHERTYPE.IPV4, echoRequest(from.address, to.address, control));
  await world.inject(from.netns, 'eth0', [frame]);
  await until('the control packet to arrive', 10_000, async () =>
    (await seen(world, to.netns, control)) > 0 ? true : undefined,
  );
  return Promise.all(
    places.map(async (netns): Promise<Finding> => {
      const n = await seen(world, netns, marker);
      return [n === 0, n === 0 ? `nothing arrived at ${netns}` : `${n} frames arrived at ${netns}`];
    }),
  );
}

/** Where drops are counted: the gateway or a host. */
export type Counting = typeof GATEWAY.name | HostName;
type Counters = ReadonlyMap<string, number>; // `<routing domain> <reason>` → packets

async function counters(scene: Scene, where: Counting): Promise<Counters> {
  const rows = await (where === GATEWAY.name ? scene.gateway.show('drops') : scene.world.drops(where));
  return new Map(rows.map((r) => [`${r.RoutingDomain || '-'} ${r.Reason}`, r.Packets]));
}

/** Which drop counters went up while `action` ran, and by how much. */
export async function countedDrops<T>(
  scene: Scene,
  where: Counting,
  action: () => Promise<T>,
): Promise<{ result: T; drops: Counters }> {
  const before = await counters(scene, where);
  const result = await action();
  const after = await counters(scene, where);
  const moved = [...after].map(([k, n]): [string, number] => [k, n - (before.get(k) ?? 0)]);
  return { result, drops: new Map(moved.filter(([, n]) => n > 0)) };
}

/** A finding that the counters of these tenants (`-` = of nobody known) and reasons went up by at least `packets`. */
export function told(
  drops: Counters,
  where: Counting,
  tenants: readonly string[],
  reasons: readonly string[],
  packets: number,
): Finding {
  const matching = [...drops].filter(([key]) => {
    const space = key.lastIndexOf(' ');
    return tenants.includes(key.slice(0, space)) && reasons.includes(key.slice(space + 1));
  });
  const list = (rows: readonly (readonly [string, number])[]) => rows.map(([key, n]) => `${key} +${n}`).join(', ');
  if (matching.reduce((n, [, count]) => n + count, 0) >= packets) return [true, `${where} counted ${list(matching)}`];
  const wanted = `${reasons.join(' or ')} of ${tenants.join(' or ')}`;
  return [false, `${where} did not count ${packets} × ${wanted}; counters that moved: ${list([...drops]) || 'none'}`];
}

/** A tenant's VM sends an IPv4 packet to the distributed router. */
export const toRouter = (vm: { readonly mac: string }, packet: Uint8Array): Uint8Array =>
  ethernet(vm.mac, MACDFGW, ETHERTYPE.IPV4, packet);
