/** Point 3: compartments, their interfaces, and what a tunnel's state does to routes. */
import { CONTOSO, GATEWAY, serverOf, TENANTS, WOODGROVE } from '../fabrikam.ts';
import { until } from '../machine.ts';
import { type Check, type Finding, type Scene, verdict } from './check.ts';
import { flowsOf, underTraffic } from './traffic.ts';

const SITE = CONTOSO.sites[0]!;

const routesVia = (routes: readonly string[], alias: string): string[] =>
  routes.filter((r) => r.includes(` dev ${alias} `));

const statusOf = async ({ gateway }: Scene, alias: string): Promise<string> =>
  (await gateway.show('interfaces')).find((i) => i.InterfaceAlias === alias)?.Status ?? 'absent';

export const compartmentChecks: readonly Check[] = [
  {
    id: '3-compartments',
    title: '`show compartments` lists 1, Contoso and Woodgrove',
    run: async ({ gateway }) => {
      const rows = await gateway.show('compartments');
      return verdict([
        [rows[0]?.CompartmentId === 1, `first: ${rows[0]?.CompartmentId} ${rows[0]?.CompartmentDescription}`],
        ...TENANTS.map((t): Finding => {
          const row = rows.find((r) => r.CompartmentDescription === t.name);
          return [
            row?.CompartmentGuid === t.routingDomainId,
            `${t.name}: ${row ? `${row.CompartmentId} ${row.Namespace}` : 'absent'}`,
          ];
        }),
        [rows.length === 3, `${rows.length} compartments`],
      ]);
    },
  },
  {
    id: '3-internal-interfaces',
    title: 'IfCi1 and IfWi1 are in compartments of their own with the same 10.0.254.2',
    run: async ({ gateway }) => {
      const rows = await gateway.show('interfaces');
      return verdict(
        TENANTS.map((t) => {
          const row = rows.find((r) => r.InterfaceAlias === t.internalInterface);
          const right =
            row?.RoutingDomain === t.name &&
            row.Status === 'Up' &&
            row.IPAddress.join() === `${GATEWAY.internalAddress}/24`;
          return [right, `${t.internalInterface} in ${row?.RoutingDomain}: ${row?.IPAddress.join()} ${row?.Status}`];
        }),
      );
    },
  },
];

export const disconnected: Check = {
  id: '3-before',
  title: 'without its tunnel IfCe1 is not usable and has no routes',
  run: async (scene) => {
    const state = await scene.gateway.tunnelState(SITE.interfaceAlias);
    const status = await statusOf(scene, SITE.interfaceAlias);
    const routes = routesVia(await scene.gateway.routes(CONTOSO.name), SITE.interfaceAlias);
    return verdict([
      [state === 'Disconnected', `IfCe1 is ${state}`],
      [status !== 'Up', `its interface is ${status}`],
      [routes.length === 0, `${routes.length} routes over it`],
    ]);
  },
};

export const tunnelChecks: readonly Check[] = [
  {
    id: '3-tunnel-up',
    title: 'with its tunnel IfCe1 is up and 10.1.0.0/24 leads over it with metric 100',
    run: async (scene) => {
      const status = await statusOf(scene, SITE.interfaceAlias);
      const routes = routesVia(await scene.gateway.routes(CONTOSO.name), SITE.interfaceAlias);
      return verdict([
        [status === 'Up', `IfCe1 is ${status}`],
        [
          routes.length === 1 && routes[0]!.startsWith(`${SITE.lan} `) && routes[0]!.endsWith('metric 100'),
          routes.join('; ') || 'no route',
        ],
      ]);
    },
  },
  {
    id: '3-tunnel-down',
    title: 'taking Contoso’s tunnel down takes its routes away and nothing else; Woodgrove does not notice',
    run: async (scene) => {
      const { gateway, world } = scene;
      const before = await gateway.routes(CONTOSO.name);
      const other = await gateway.routes(WOODGROVE.name);
      const { result, findings } = await underTraffic(world, flowsOf(WOODGROVE), async () => {
        await world.hangUp(SITE);
        await gateway.tunnel(SITE.interfaceAlias, 'Disconnected', 20_000);
        const routes = await until('the routes of IfCe1 to go', 20_000, async () => {
          const now = await gateway.routes(CONTOSO.name);
          return routesVia(now, SITE.interfaceAlias).length === 0 ? now : undefined;
        });
        const [other, status, page, back] = await Promise.all([
          gateway.routes(WOODGROVE.name),
          statusOf(scene, SITE.interfaceAlias),
          world.fetch(CONTOSO.vms[0]!.netns, SITE.server, 4),
          world.fetch(serverOf(SITE), CONTOSO.vms[0]!.address, 4),
        ]);
        return { routes, other, status, page, back };
      });
      const rest = before.filter((r) => !routesVia([r], SITE.interfaceAlias).length);
      return verdict([
        [
          result.routes.join() === rest.join(),
          `Contoso keeps ${rest.length} other routes: ${result.routes.join('; ')}`,
        ],
        [result.other.join() === other.join(), `Woodgrove’s ${other.length} routes are the same`],
        [result.status !== 'Up', `IfCe1 is ${result.status}`],
        [result.page === undefined && result.back === undefined, 'nothing crosses between Contoso’s VM and New York'],
        ...findings,
      ]);
    },
  },
  {
    id: '3-tunnel-back',
    title: 'dialled again, the tunnel brings the routes back',
    run: async (scene) => {
      await scene.world.dial(SITE);
      await scene.gateway.tunnel(SITE.interfaceAlias, 'Connected', 30_000);
      const page = await until('the page of New York', 20_000, () =>
        scene.world.fetch(CONTOSO.vms[0]!.netns, SITE.server, 4),
      );
      return verdict([
        [page.includes(scene.world.run.markers[serverOf(SITE)]!), 'Contoso’s VM fetches its page again'],
      ]);
    },
  },
];
