/** Traffic of both tenants in both directions while something happens, and what was lost of it. */
import { CONTOSO, type Site, serverOf, type Tenant, type Vm, WOODGROVE } from '../fabrikam.ts';
import { pause } from '../machine.ts';
import type { PingResult } from '../world/ping.ts';
import type { World } from '../world/world.ts';
import type { Finding } from './check.ts';

export interface Flow {
  readonly name: string;
  readonly from: string; // namespace
  readonly to: string; // address
}

const fromVm = (t: Tenant, vm: Vm, site: Site): Flow => ({
  name: `${t.name} VM to ${site.city} and back`,
  from: vm.netns,
  to: site.server,
});
const fromSite = (t: Tenant, vm: Vm, site: Site): Flow => ({
  name: `${t.name} ${site.city} to VM and back`,
  from: serverOf(site),
  to: vm.address,
});

/**
 * A ping of each tenant, one begun in the cloud, one at the site. An echo crosses the gateway in both directions, so that a second
 * ping the other way would load the emulated machines and show nothing more.
 */
const CONTOSO_FLOW: Flow = fromVm(CONTOSO, CONTOSO.vms[0]!, CONTOSO.sites[0]!);
export const WOODGROVE_FLOW: Flow = fromSite(WOODGROVE, WOODGROVE.vms[0]!, WOODGROVE.sites[0]!);
export const FLOWS: readonly Flow[] = [CONTOSO_FLOW, WOODGROVE_FLOW];

export interface UnderTraffic<T> {
  readonly result: T;
  readonly findings: readonly Finding[];
}

const SETTLE_MS = 1000;

/**
 * Pings every 10 ms over the flows from before `action` until after it. The findings say per flow that nothing was lost and that
 * the flow really ran all the time.
 */
export async function underTraffic<T>(
  world: World,
  flows: readonly Flow[],
  action: () => Promise<T>,
): Promise<UnderTraffic<T>> {
  await world.startPings(flows);
  const begin = Date.now();
  let pings: readonly PingResult[] = [];
  let result: T;
  try {
    await pause(SETTLE_MS);
    result = await action();
    await pause(SETTLE_MS);
  } finally {
    pings = await world.stopPings(flows.length);
  }
  const seconds = (Date.now() - begin) / 1000;
  const findings = pings.map((p, i): Finding => {
    // Emulated clocks stretch 10 ms; a flow that stood still for most of the time would prove nothing.
    const ran = p.received >= seconds * 10;
    return [ran && p.lost === 0, `${flows[i]!.name}: ${p.received} of ${p.sent} answered at 10 ms, ${p.lost} lost`];
  });
  return { result, findings };
}
