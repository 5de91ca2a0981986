/** Point 5: the gateway process dies, packets do not. */
import { type Appliance, GATEWAY_UNIT, routesOf, stateOf } from '../appliance.ts';
import { CONTOSO, serverOf, TENANTS, type Tenant } from '../fabrikam.ts';
import { must, until } from '../machine.ts';
import { type Check, type Finding, type Scene, verdict } from './check.ts';
import { FLOWS, underTraffic, WOODGROVE_FLOW } from './traffic.ts';

const IDENTITY = `ip -o link | cut -d: -f1,2
for n in $(ip netns list | cut -d' ' -f1 | sort); do echo $n; ip -n $n -o link | cut -d: -f1,2; done
ip xfrm state | grep -o 'spi 0x[0-9a-f]*' | sort
`;
const SITE = CONTOSO.sites[0]!;

/** Devices with their indexes in every compartment, and the SAs: what would be other if anything had been made anew. */
const identity = ({ machine }: Appliance): Promise<string> => must(machine, ['sh', '-s'], { stdin: IDENTITY });

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
        const former = await gateway.kill();
        const pid = await gateway.ready(former);
        return { former, pid, files: await files };
      });
      const planned = await gateway.planned();
      const after = await identity(gateway);
      const { s2s: states } = await gateway.read('s2s');
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
      try {
        const { result, findings } = await underTraffic(world, [WOODGROVE_FLOW], async () => {
          const former = await gateway.kill(true);
          await world.hangUp(SITE);
          const meanwhile = await must(gateway.machine, [
            'systemctl',
            'show',
            '-p',
            'MainPID',
            '--value',
            GATEWAY_UNIT,
          ]);
          await must(gateway.machine, ['systemctl', 'start', GATEWAY_UNIT], { timeoutMs: 120_000 });
          await gateway.ready(former);
          const others = await until('IfCe1 to be Disconnected and without routes', 45_000, async () => {
            const now = await gateway.read('s2s', 'routes');
            const routes = routesOf(now.routes, CONTOSO.name);
            const gone = !routes.some((r) => r.includes(` dev ${SITE.interfaceAlias} `));
            return gone && stateOf(now.s2s, SITE.interfaceAlias) === 'Disconnected' ? routes : undefined;
          });
          return { others, dead: Number(meanwhile) === 0 };
        });
        return verdict([
          [result.dead, `the gateway was ${result.dead ? '' : 'not '}dead when the site hung up`],
          [result.others.length > 0, `IfCe1 is Disconnected, its routes are gone, ${result.others.length} others stay`],
          ...findings,
        ]);
      } finally {
        await must(gateway.machine, ['systemctl', 'start', GATEWAY_UNIT], { timeoutMs: 120_000 });
        await world.dial(SITE);
        await gateway.tunnels([SITE.interfaceAlias], 'Connected', 60_000);
      }
    },
  },
];
