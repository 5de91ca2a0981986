/**
 * Point 5: the gateway process dies, packets do not. One death shows all of it: both tenants' New York traffic goes on, systemd
 * brings the gateway back, it adopts what runs and notices that San Francisco's tunnel has gone in the meantime.
 */
import { type Appliance, GATEWAY_UNIT, routesOf, SECRETS_DIR, stateOf } from '../appliance.ts';
import { SITES, serverOf, TENANTS, type Tenant, WOODGROVE } from '../fabrikam.ts';
import { gatewayYaml } from '../gateway-yaml.ts';
import { must, until } from '../machine.ts';
import { type Check, type Finding, once, type Scene, verdict } from './check.ts';
import { FLOWS, underTraffic } from './traffic.ts';

/** The tunnel that goes down: none of the flows uses it. */
const GOES = SITES.find((s) => s.persistent)!;
const STAY = SITES.filter((s) => s !== GOES);

const IDENTITY = `ip -o link | cut -d: -f1,2
for n in $(ip netns list | cut -d' ' -f1 | sort); do echo $n; ip -n $n -o link | cut -d: -f1,2; done
ip xfrm state | grep -o '^src.*\\|spi 0x[0-9a-f]*' | paste -d' ' - - | sort
`;

/** Devices with their indexes in every compartment, and the SAs with their ends: other lines if anything was made anew. */
const identity = async ({ machine }: Appliance): Promise<readonly string[]> =>
  (await must(machine, ['sh', '-s'], { stdin: IDENTITY })).trim().split('\n');

const ofGone = (line: string): boolean => line.split(' ').includes(GOES.destination);

/** A file of each tenant on its way while the action runs: 1.5 MB at 100 kB/s, about fifteen seconds. */
async function transfers(scene: Scene, tenants: readonly Tenant[]): Promise<Finding[]> {
  return Promise.all(
    tenants.map(async (t): Promise<Finding> => {
      const site = t.sites[0]!;
      const digest = await scene.world.transfer(t.vms[0]!.netns, site.server, '100k');
      const expected = await scene.world.transferDigest(serverOf(site));
      return [
        digest === expected,
        `${t.name}: a file from ${site.city} came in full${digest === expected ? '' : `: ${digest}`}`,
      ];
    }),
  );
}

interface Unit {
  readonly pid: number;
  readonly state: string;
}

async function unitOf({ machine }: Appliance): Promise<Unit> {
  const argv = ['systemctl', 'show', '-p', 'ActiveState', '-p', 'MainPID', GATEWAY_UNIT];
  const told = new Map((await must(machine, argv)).split('\n').map((l) => l.split('=') as [string, string]));
  return { pid: Number(told.get('MainPID')), state: told.get('ActiveState') ?? '' };
}

const viaGone = (route: string): boolean => route.includes(` dev ${GOES.interfaceAlias} `);

/** Kills, lets San Francisco hang up, and waits until the gateway is back and says so. */
const death = once(async (scene) => {
  const { gateway, world } = scene;
  const before = await identity(gateway);
  const had = routesOf((await gateway.read('routes')).routes, WOODGROVE.name);
  try {
    const { result, findings } = await underTraffic(world, FLOWS, async (step) => {
      const files = transfers(scene, TENANTS);
      const former = await step('the gateway is killed', () => gateway.kill());
      const meanwhile = await step('San Francisco hangs up', async () => {
        await world.refuse(GOES);
        return unitOf(gateway);
      });
      const pid = await step('the gateway comes back', () => gateway.ready(former));
      const seen = await step('the gateway looks around', () =>
        until(`${GOES.interfaceAlias} to be down and without routes`, 45_000, async () => {
          const now = await gateway.read('s2s', 'routes');
          const routes = routesOf(now.routes, WOODGROVE.name);
          const gone = !routes.some(viaGone) && stateOf(now.s2s, GOES.interfaceAlias) !== 'Connected';
          return gone ? { s2s: now.s2s, routes } : undefined;
        }),
      );
      return {
        former,
        pid,
        meanwhile,
        seen,
        planned: await gateway.stillNeeded(gatewayYaml(TENANTS, SECRETS_DIR)),
        files: await files,
      };
    });
    return { ...result, findings, before, had, after: await identity(gateway) };
  } finally {
    await world.answerAgain(GOES);
  }
});

/** Without San Francisco's SAs the lines of before and after must be the same; after, none of San Francisco's. */
function sameThings(before: readonly string[], after: readonly string[]): Finding {
  const lost = before.filter((line) => !ofGone(line) && !after.includes(line));
  const made = after.filter((line) => !ofGone(line) && !before.includes(line));
  const same = lost.length === 0 && made.length === 0;
  const stay = after.filter((line) => line.includes('spi ') && !ofGone(line)).length;
  return [
    same && stay > 0,
    same ? `the same devices and ${stay} SAs as before` : `gone: ${lost.join('; ')}; made: ${made.join('; ')}`,
  ];
}

export const crashChecks: readonly Check[] = [
  {
    id: '5-killed',
    title:
      'kill -9 of the gateway under traffic in both tenants: no packet lost, it adopts what runs, the plan is empty',
    run: async (scene) => {
      const { pid, former, planned, before, after, seen, files, findings } = await death(scene);
      return verdict([
        [pid !== former, `process ${former} was killed, ${pid} runs`],
        [planned.length === 0, planned.length ? `plan: ${planned.join('; ')}` : 'the plan is empty'],
        sameThings(before, after),
        ...STAY.map(({ interfaceAlias }): Finding => {
          const state = stateOf(seen.s2s, interfaceAlias);
          return [state === 'Connected', `${interfaceAlias} is ${state}`];
        }),
        ...files,
        ...findings,
      ]);
    },
  },
  {
    id: '5-down-meanwhile',
    title: 'a tunnel that goes down while the gateway is dead is noticed when it is back',
    run: async (scene) => {
      const { former, meanwhile, seen, had, before, findings } = await death(scene);
      const kept = had.filter((r) => !viaGone(r));
      const dead = meanwhile.state !== 'active' && meanwhile.pid !== former;
      const state = stateOf(seen.s2s, GOES.interfaceAlias);
      return verdict([
        [before.some(ofGone) && had.some(viaGone), `${GOES.interfaceAlias} had SAs and routes`],
        [dead, `when the site had hung up, the gateway was ${dead ? 'dead' : 'back'} (${meanwhile.state})`],
        [state !== 'Connected', `then ${GOES.interfaceAlias} is ${state}, its routes are gone`],
        [seen.routes.join() === kept.join(), `Woodgrove’s ${kept.length} other routes stay`],
        ...findings,
      ]);
    },
  },
];

/** What has nothing to wait for but its tunnel, and may run beside checks that need none. */
export const restored: Check = {
  id: '5-back',
  title: 'the site answers again and its tunnel comes back',
  run: async ({ gateway, world }) => {
    // The gateway would dial again within a minute; the site is quicker.
    await world.dial(GOES);
    await gateway.tunnels([GOES.interfaceAlias], 'Connected');
    return verdict([[true, `${GOES.interfaceAlias} is Connected`]]);
  },
};
