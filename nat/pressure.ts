/** How near pools and tenants are to their limits (R-NAT-5): before a flow is dropped, not after. Pure: entries in, rows out. */
import type { Slot } from '../compartments/numbers.ts';
import type { Row } from '../lib/table.ts';
import { CLOSING, NAT, type NatBlock } from './abi.ts';
import type { Pool } from './blocks.ts';
import { u32 } from './layout.ts';
import type { Entries, NatNames } from './show.ts';

/** From here on a limit is worth a warning. */
export const WARNING = 0.8;

export type Level = 'ok' | 'warning' | 'full';

export const levelOf = (used: number, limit: number): Level =>
  limit === 0 ? 'ok' : used >= limit ? 'full' : used >= WARNING * limit ? 'warning' : 'ok';

const percent = (used: number, limit: number): number => (limit ? Math.round((used / limit) * 100) : 0);
const slotOf = (key: Uint8Array): Slot => u32.get(new DataView(key.buffer, key.byteOffset), 0);

/** Sessions of all tenants, of those that there is room for. */
export function sessionPressure(usage: Entries, limit: number): Row {
  let sessions = 0;
  for (const [, v] of usage) sessions += u32.get(new DataView(v.buffer, v.byteOffset), NAT.usage.offset.sessions!);
  return {
    Sessions: sessions,
    MaxSessions: limit,
    Percent: percent(sessions, limit),
    Level: levelOf(sessions, limit),
  };
}

/** Blocks of each pool. Blocks that are being given back count as taken. */
export function poolPressure(pools: readonly Pool[], blocks: ReadonlyMap<number, NatBlock>): readonly Row[] {
  return pools
    .filter((p) => p.blocks > 0)
    .map((p) => {
      const own = Array.from({ length: p.blocks }, (_, i) => blocks.get(p.firstBlock + i)).filter((b) => b?.owner);
      const owners = new Set(own.map((b) => b!.owner).filter((o) => o !== CLOSING));
      return {
        ExternalIPAddress: p.address,
        PortStart: p.portStart,
        PortEnd: p.portEnd,
        Blocks: p.blocks,
        Taken: own.length,
        Percent: percent(own.length, p.blocks),
        Tenants: owners.size,
        Level: levelOf(own.length, p.blocks),
      };
    });
}

/** Entries of `tenants` and `usage`. */
export function tenantPressure(tenants: Entries, usage: Entries, names: NatNames): readonly Row[] {
  const used = new Map([...usage].map(([k, v]) => [slotOf(k), NAT.usage.decode(v)]));
  return [...tenants].flatMap(([k, v]) => {
    const [slot, t] = [slotOf(k), NAT.tenant.decode(v)];
    const u = used.get(slot);
    if (!t.device) return [];
    const [blocks, sessions, ports] = [u?.blocks ?? 0, u?.sessions ?? 0, u?.ports ?? 0];
    const levels = [levelOf(blocks, t.max_blocks), levelOf(sessions, t.max_sessions)];
    return [
      {
        RoutingDomain: names.routingDomain(slot),
        Blocks: blocks,
        MaxBlocks: t.max_blocks,
        Ports: ports,
        Sessions: sessions,
        MaxSessions: t.max_sessions,
        Percent: Math.max(percent(blocks, t.max_blocks), percent(sessions, t.max_sessions)),
        Level: levels.includes('full') ? 'full' : levels.includes('warning') ? 'warning' : 'ok',
      },
    ];
  });
}

/** Entries of `hosts`: the inside addresses with the most external ports, of all tenants or one. */
export function topHosts(hosts: Entries, names: NatNames, count: number, slot?: Slot): readonly Row[] {
  return [...hosts]
    .map(([k, v]) => ({ key: NAT.hostKey.decode(k), host: NAT.host.decode(v) }))
    .filter(({ key, host }) => (slot === undefined || key.rdid === slot) && (host.ports > 0 || host.sessions > 0))
    .toSorted((a, b) => b.host.ports - a.host.ports || b.host.sessions - a.host.sessions)
    .slice(0, count)
    .map(({ key, host }) => ({
      RoutingDomain: names.routingDomain(key.rdid),
      InternalIPAddress: key.address,
      Ports: host.ports,
      Sessions: host.sessions,
    }));
}
