/** Looks whether crafted packets arrive: captures at the places, sends, then a harmless packet that must arrive as the control. */
import { CONTOSO, GATEWAY, HOSTS, MACDFGW, type Tenant } from '../fabrikam.ts';
import { until } from '../machine.ts';
import { echoRequest, ethernet } from '../pcap/craft.ts';
import { parsePcap } from '../pcap/file.ts';
import { ETHERTYPE } from '../pcap/frame.ts';
import { framesWith } from '../pcap/wire.ts';
import type { HostName } from '../world/host-yaml.ts';
import type { World } from '../world/world.ts';
import type { Finding, Scene } from './check.ts';

export interface Place {
  readonly netns: string;
  readonly device: string;
}

async function seen(world: World, name: string, marker: string): Promise<number> {
  const capture = parsePcap(await world.capture(name));
  if (!capture.ok) throw new Error(`the capture ${name} is damaged: ${capture.error}`);
  return framesWith(capture.value.frames, [marker]);
}

/**
 * Runs `send`, then lets Contoso's VM on host1 ping its neighbour on host2 with a marked packet. When that one has arrived, the
 * packets sent before it have had their chance. Findings: per place that nothing with `marker` came.
 */
export async function nothingArrives(
  scene: Scene,
  places: readonly Place[],
  marker: string,
  send: () => Promise<void>,
): Promise<readonly Finding[]> {
  const { world } = scene;
  const [from, to] = CONTOSO.vms as readonly [Tenant['vms'][number], Tenant['vms'][number]];
  const watched = [...places, { netns: to.netns, device: 'eth0' }];
  const name = (p: Place) => `watch-${p.netns}`;
  for (const p of watched) await world.startCapture(name(p), p.netns, p.device);
  try {
    await send();
    const control = `control-${marker}`;
    const frame = ethernet(from.mac, to.mac, ETHERTYPE.IPV4, echoRequest(from.address, to.address, control));
    await world.inject(from.netns, 'eth0', [frame]);
    await until('the control packet to arrive', 10_000, async () =>
      (await seen(world, `watch-${to.netns}`, control)) > 0 ? true : undefined,
    );
    const findings: Finding[] = [];
    for (const p of places) {
      const n = await seen(world, name(p), marker);
      findings.push([n === 0, n === 0 ? `nothing arrived at ${p.netns}` : `${n} frames arrived at ${p.netns}`]);
    }
    return findings;
  } finally {
    for (const p of watched) await world.stopCapture(name(p));
  }
}

type Counters = ReadonlyMap<string, number>; // `<where> <routing domain> <reason>` → packets

async function counters(scene: Scene): Promise<Counters> {
  const all = new Map<string, number>();
  const add = (where: string, rows: readonly { RoutingDomain: string; Reason: string; Packets: number }[]) => {
    for (const r of rows) all.set(`${where} ${r.RoutingDomain || '-'} ${r.Reason}`, r.Packets);
  };
  add(GATEWAY.name, await scene.gateway.show('drops'));
  for (const host of Object.keys(HOSTS) as HostName[]) add(host, await scene.world.drops(host));
  return all;
}

/** Which drop counters went up while `action` ran, and by how much. */
export async function countedDrops<T>(scene: Scene, action: () => Promise<T>): Promise<{ result: T; drops: Counters }> {
  const before = await counters(scene);
  const result = await action();
  const after = await counters(scene);
  const drops = new Map(
    [...after].map(([k, n]): [string, number] => [k, n - (before.get(k) ?? 0)]).filter(([, n]) => n > 0),
  );
  return { result, drops };
}

/** A finding that a counter of this place, tenant and one of the reasons went up by at least `packets`. */
export function told(
  drops: Counters,
  where: string,
  tenants: readonly string[],
  reasons: readonly string[],
  packets: number,
): Finding {
  const matching = [...drops].filter(([key]) => {
    const [place, tenant, reason] = key.split(' ') as [string, string, string];
    return place === where && tenants.includes(tenant) && reasons.includes(reason);
  });
  const sum = matching.reduce((n, [, count]) => n + count, 0);
  if (sum >= packets) return [true, matching.map(([key, n]) => `${key} +${n}`).join(', ')];
  const other = [...drops].map(([key, n]) => `${key} +${n}`).join(', ') || 'none';
  return [
    false,
    `${where} did not count ${reasons.join(' or ')} of ${tenants.join(' or ')}; counters that moved: ${other}`,
  ];
}

/** A tenant's VM sends an IPv4 packet to the distributed router. */
export const toRouter = (vm: { readonly mac: string }, packet: Uint8Array): Uint8Array =>
  ethernet(vm.mac, MACDFGW, ETHERTYPE.IPV4, packet);
