/** Point 5: the gateway process dies, packets do not. */
import { type Appliance, GATEWAY_UNIT } from '../appliance.ts';
import { CONTOSO, serverOf, TENANTS, type Tenant, WOODGROVE } from '../fabrikam.ts';
import { must, until } from '../machine.ts';
import { type Check, type Finding, type Scene, verdict } from './check.ts';
import { FLOWS, flowsOf, underTraffic } from './traffic.ts';

const DROP_IN = `/run/systemd/system/${GATEWAY_UNIT}.d`;
const IDENTITY = `ip -o link | cut -d: -f1,2
for n in $(ip netns list | cut -d' ' -f1 | sort); do echo $n; ip -n $n -o link | cut -d: -f1,2; done
ip xfrm state | grep -o 'spi 0x[0-9a-f]*' | sort
`;
const SITE = CONTOSO.sites[0]!;

/** Devices with their indexes in every compartment, and the SAs: what would be other if anything had been made anew. */
const identity = ({ machine }: Appliance): Promise<string> => must(machine, ['sh', '-s'], { stdin: IDENTITY });

const kill = async (gateway: Appliance): Promise<number> => {
  const pid = await gateway.mainPid();
  await must(gateway.machine, ['kill', '-9', String(pid)]);
  return pid;
};

/** A file of each tenant on its way while the action runs: 4 MB at 400 kB/s, about ten seconds. */
async function transfers(scene: Scene, tenants: readonly Tenant[]): Promise<Finding[]> {
  return Promise.all(
    tenants.map(async (t): Promise<Finding> => {
      const site = t.sites[0]!;
      const digest = await scene.world.transfer(t.vms[0]!.netns, site.server, '400k');
      const expected = await scene.world.transferDigest(serverOf(site));
      return [
        digest === expected,
        `${t.name}: a file from ${site.city} came in full${digest === expected ? '' : `: ${digest}`}`,
      ];
    }),
  );
}

export const crashChecks: readonly Check[] = [
  {
    id: '5-killed',
    title:
      'kill -9 of the gateway under traffic in both tenants: no packet lost, it adopts what runs, the plan is empty',
    run: async (scene) => {
      const { gateway } = scene;
      const before = await identity(gateway);
      const { result, findings } = await underTraffic(scene.world, FLOWS, async () => {
        const files = transfers(scene, TENANTS);
        const former = await kill(gateway);
        const pid = await gateway.ready(former);
        return { former, pid, files: await files };
      });
      const planned = await gateway.planned();
      const after = await identity(gateway);
      const states = await gateway.show('s2s');
      return verdict([
        [result.pid !== result.former, `process ${result.former} was killed, ${result.pid} runs`],
        [planned.length === 0, planned.length ? `plan: ${planned.join('; ')}` : 'the plan is empty'],
        [after === before, after === before ? 'the same devices and SAs as before' : 'devices or SAs were made anew'],
        [
          states.every((s) => s.ConnectionState === 'Connected'),
          states.map((s) => `${s.Name} ${s.ConnectionState}`).join(', '),
        ],
        ...result.files,
        ...findings,
      ]);
    },
  },
  {
    id: '5-down-meanwhile',
    title: 'a tunnel that goes down while the gateway is dead is noticed when it is back; Woodgrove notices nothing',
    run: async (scene) => {
      const { gateway, world } = scene;
      await must(gateway.machine, ['mkdir', '-p', DROP_IN]);
      await gateway.machine.write(`${DROP_IN}/lab.conf`, '[Service]\nRestart=no\n');
      await must(gateway.machine, ['systemctl', 'daemon-reload']);
      try {
        const { result, findings } = await underTraffic(world, flowsOf(WOODGROVE), async () => {
          const former = await kill(gateway);
          await until('the gateway to be gone', 10_000, async () =>
            (await gateway.mainPid()) === 0 ? true : undefined,
          );
          await world.hangUp(SITE);
          await must(gateway.machine, ['systemctl', 'reset-failed', GATEWAY_UNIT]);
          await must(gateway.machine, ['systemctl', 'start', GATEWAY_UNIT], { timeoutMs: 120_000 });
          await gateway.ready(former);
          await gateway.tunnel(SITE.interfaceAlias, 'Disconnected', 30_000);
          return until('the routes of IfCe1 to go', 15_000, async () => {
            const routes = await gateway.routes(CONTOSO.name);
            return routes.some((r) => r.includes(` dev ${SITE.interfaceAlias} `)) ? undefined : routes;
          });
        });
        return verdict([
          [result.length > 0, `IfCe1 is Disconnected, its routes are gone, ${result.length} others stay`],
          ...findings,
        ]);
      } finally {
        await must(gateway.machine, ['rm', '-rf', DROP_IN]);
        await must(gateway.machine, ['systemctl', 'daemon-reload']);
        await must(gateway.machine, ['systemctl', 'start', GATEWAY_UNIT], { timeoutMs: 120_000 });
        await world.dial(SITE);
        await gateway.tunnel(SITE.interfaceAlias, 'Connected', 60_000);
      }
    },
  },
];
