/** Point 2: what the two wires carried, judged on captures that ran from before the first packet to after the last. */
import { GATEWAY, HOSTS, ROGUE, SITES, TENANTS, THIRD_TENANT } from '../fabrikam.ts';
import { type CapturedFrame, LINKTYPE_ETHERNET, parsePcap } from '../pcap/file.ts';
import { framesWith, internetWire, providerWire, type WireReport } from '../pcap/wire.ts';
import type { World } from '../world/world.ts';
import { type Check, type Finding, once, type Verdict, verdict } from './check.ts';

export const INTERNET_WIRE = { name: 'internet-wire', netns: 'internet', device: 'eth0' } as const;
export const PROVIDER_WIRE = { name: 'provider-wire', netns: 'fabric', device: 'eth1' } as const;

async function framesOf(world: World, name: string): Promise<readonly CapturedFrame[]> {
  const capture = parsePcap(await world.capture(name));
  if (!capture.ok) throw new Error(`the capture ${name} cannot be read: ${capture.error}`);
  if (capture.value.linkType !== LINKTYPE_ETHERNET) throw new Error(`the capture ${name} is not of Ethernet`);
  return capture.value.frames;
}

/** The whole run's captures, read once for all who judge them. */
const wholeInternet = once(({ world }) => framesOf(world, INTERNET_WIRE.name));
const wholeProvider = once(({ world }) => framesOf(world, PROVIDER_WIRE.name));

const summary = (r: WireReport): string =>
  `${r.frames} frames: ${
    Object.entries(r.kinds)
      .map(([kind, n]) => `${n} ${kind}`)
      .join(', ') || 'none'
  }`;

/** `needed`: kinds that must be there, so that an empty or blind capture does not pass. */
function judged(report: WireReport, needed: readonly string[]): Verdict {
  const findings = Object.entries(report.findings).map(([what, n]): Finding => [false, `${n} × ${what}`]);
  const missing = needed.filter((kind) => !report.kinds[kind]).map((kind): Finding => [false, `no ${kind} was seen`]);
  return verdict([...findings.slice(0, 10), ...missing, [true, summary(report)]]);
}

const internetReport = (frames: readonly CapturedFrame[]) =>
  internetWire(
    frames,
    GATEWAY.publicAddress,
    [...SITES, ...THIRD_TENANT.sites].map((s) => s.destination),
  );

export const wireBefore: Check = {
  id: '2-before',
  title: 'before a tunnel’s life the internet wire carries no ESP and no tenant byte',
  run: async ({ world }) => {
    const report = internetReport(await framesOf(world, INTERNET_WIRE.name));
    const base = judged(report, []);
    return report.kinds.ESP ? verdict([[false, `${report.kinds.ESP} ESP frames without a tunnel`]]) : base;
  },
};

export const wireChecks: readonly Check[] = [
  {
    id: '2-internet-wire',
    title: 'the internet wire carried only IKE and ESP, over the tunnels’ whole lives',
    run: async (scene) => judged(internetReport(await wholeInternet(scene)), ['IKE', 'ESP']),
  },
  {
    id: '2-provider-wire',
    title: 'the provider wire carried only NVGRE between PAs, with the gateway subnet’s VSID towards the gateway',
    run: async (scene) =>
      judged(
        providerWire(await wholeProvider(scene), {
          gateway: GATEWAY.providerAddress,
          hosts: Object.values(HOSTS),
          gatewayVsids: TENANTS.map((t) => t.gatewayVsid),
          hostVsids: TENANTS.map((t) => t.vsid),
          rogue: ROGUE.mac,
        }),
        TENANTS.flatMap((t) => [`NVGRE VSID ${t.gatewayVsid} to the gateway`, `NVGRE VSID ${t.vsid} to hosts`]),
      ),
  },
  {
    id: '2-no-tenant-byte',
    title: 'no page of any tenant was in clear on the internet wire; on the provider wire the same search finds them',
    run: async (scene) => {
      const markers = Object.values(scene.world.run.markers);
      const internet = framesWith(await wholeInternet(scene), markers);
      const provider = framesWith(await wholeProvider(scene), markers);
      return verdict([
        [internet === 0, `${internet} frames with a tenant’s text on the internet wire`],
        [provider > 0, `${provider} frames with a tenant’s text on the provider wire (the control)`],
      ]);
    },
  },
];
