/**
 * Traffic of both tenants in both directions while something happens, and what was lost of it, by direction and by the step during
 * which it was sent.
 */
import { CONTOSO, type Site, serverOf, type Tenant, type Vm, WOODGROVE } from '../fabrikam.ts';
import { pause } from '../machine.ts';
import type { Pinged } from '../world/flows.ts';
import type { World } from '../world/world.ts';
import type { Finding } from './check.ts';

export interface Flow {
  readonly tenant: string;
  readonly from: string; // namespace
  readonly to: string; // address
  readonly at: string; // namespace that has the address
}

const fromVm = (t: Tenant, vm: Vm, site: Site): Flow => ({
  tenant: t.name,
  from: vm.netns,
  to: site.server,
  at: serverOf(site),
});
const fromSite = (t: Tenant, vm: Vm, site: Site): Flow => ({
  tenant: t.name,
  from: serverOf(site),
  to: vm.address,
  at: vm.netns,
});

/**
 * A ping of each tenant, one begun in the cloud, one at the site. Its requests cross the gateway in one direction and its answers in
 * the other, and both are counted where they arrive; a second ping the other way would load the emulated machines for nothing.
 */
const CONTOSO_FLOW: Flow = fromVm(CONTOSO, CONTOSO.vms[0]!, CONTOSO.sites[0]!);
export const WOODGROVE_FLOW: Flow = fromSite(WOODGROVE, WOODGROVE.vms[0]!, WOODGROVE.sites[0]!);
export const FLOWS: readonly Flow[] = [CONTOSO_FLOW, WOODGROVE_FLOW];

/** Runs a part of what happens under traffic; packets lost meanwhile are told by its name. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export interface UnderTraffic<T> {
  readonly result: T;
  readonly findings: readonly Finding[];
}

interface Span {
  readonly name: string;
  readonly begin: number; // seconds since 1970, this computer's clock
  readonly end: number;
}

const SETTLE_MS = 1000;

/** `3 while A, 1 between the steps`: when the lost packets were sent. `lostAt` in this computer's time. */
export function during(lostAt: readonly number[], spans: readonly Span[]): string {
  const counts = new Map<string, number>();
  for (const at of lostAt) {
    const span = spans.find((s) => s.begin <= at && at <= s.end);
    const when = span ? `while ${span.name}` : 'between the steps';
    counts.set(when, (counts.get(when) ?? 0) + 1);
  }
  return [...counts].map(([when, n]) => `${n} ${when}`).join(', ');
}

/** A flow's two directions. Without a loss every answered request has crossed in both. */
function judged({ tenant, from, at }: Flow, p: Pinged, seconds: number, spans: readonly Span[]): Finding[] {
  // Emulated clocks stretch 10 ms; a flow that stood still for most of the time would prove nothing.
  const ran = p.received >= seconds * 10;
  // What came there may hold packets of others and those still on their way: at least so many were lost before.
  const there = Math.max(0, Math.min(p.lost, p.sent - p.arrived));
  const when = p.lost > 0 ? ` (${during(p.lostAt, spans)})` : '';
  const told = (lost: number): string =>
    `${p.received} crossed at 10 ms, ${lost} lost${lost ? when : ''}${ran ? '' : ': too few to show anything'}`;
  return [
    [ran && there === 0, `${tenant}, ${from} to ${at}: ${told(there)}`],
    [ran && p.lost === there, `${tenant}, ${at} to ${from}: ${told(p.lost - there)}`],
  ];
}

/**
 * Pings every 10 ms over the flows from before `action` until after it. The findings say per flow and direction that nothing was
 * lost and that the flow really ran all the time.
 */
export async function underTraffic<T>(
  world: World,
  flows: readonly Flow[],
  action: (step: Step) => Promise<T>,
): Promise<UnderTraffic<T>> {
  const spans: Span[] = [];
  const step: Step = async (name, work) => {
    const begin = Date.now() / 1000;
    try {
      return await work();
    } finally {
      spans.push({ name, begin, end: Date.now() / 1000 });
    }
  };
  const pings = await world.startPings(flows);
  const begin = Date.now();
  let pinged: readonly Pinged[] = [];
  let result: T;
  try {
    await pause(SETTLE_MS);
    result = await action(step);
    await pause(SETTLE_MS);
  } finally {
    pinged = await pings.stop();
  }
  const seconds = (Date.now() - begin) / 1000;
  return { result, findings: flows.flatMap((flow, i) => judged(flow, pinged[i]!, seconds, spans)) };
}
