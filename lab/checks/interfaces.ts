/** Point 3: compartments, their interfaces, and what a tunnel's state does to routes. */
import { routesOf, stateOf, statusOf } from '../appliance.ts';
import { CONTOSO, GATEWAY, serverOf, TENANTS, WOODGROVE } from '../fabrikam.ts';
import { until } from '../machine.ts';
import { type Check, type Finding, verdict } from './check.ts';
import { underTraffic, WOODGROVE_FLOW } from './traffic.ts';

const SITE = CONTOSO.sites[0]!;

const routesVia = (routes: readonly string[], alias: string): string[] =>
  routes.filter((r) => r.includes(` dev ${alias} `));

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
      const { interfaces: rows } = await gateway.read('interfaces');
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
  run: async ({ gateway }) => {
    const { s2s, interfaces, routes: all } = await gateway.read('s2s', 'interfaces', 'routes');
    const state = stateOf(s2s, SITE.interfaceAlias);
    const status = statusOf(interfaces, SITE.interfaceAlias);
    const routes = routesVia(routesOf(all, CONTOSO.name), SITE.interfaceAlias);
    return verdict([
      [state === 'Disconnected', `IfCe1 is ${state}`],
      [status !== 'Up', `its interface is ${status}`],
      [routes.length === 0, `${routes.length} routes over it`],
    ]);
  },
};

export const tunnelUp: Check = {
  id: '3-tunnel-up',
  title: 'with its tunnel IfCe1 is up and 10.1.0.0/24 leads over it with metric 100',
  run: async ({ gateway }) => {
    const { interfaces, routes: all } = await gateway.read('interfaces', 'routes');
    const status = statusOf(interfaces, SITE.interfaceAlias);
    const routes = routesVia(routesOf(all, CONTOSO.name), SITE.interfaceAlias);
    return verdict([
      [status === 'Up', `IfCe1 is ${status}`],
      [
        routes.length === 1 && routes[0]!.startsWith(`${SITE.lan} `) && routes[0]!.endsWith('metric 100'),
        routes.join('; ') || 'no route',
      ],
    ]);
  },
};

export const tunnelChecks: readonly Check[] = [
  {
    id: '3-tunnel-down',
    title: 'taking Contoso’s tunnel down takes its routes away and nothing else; Woodgrove does not notice',
    run: async (scene) => {
      const { gateway, world } = scene;
      const former = (await gateway.read('routes')).routes;
      const before = routesOf(former, CONTOSO.name);
      const other = routesOf(former, WOODGROVE.name);
      const { result, findings } = await underTraffic(world, [WOODGROVE_FLOW], async () => {
        await world.hangUp(SITE);
        const seen = await until('IfCe1 to be Disconnected and without routes', 40_000, async () => {
          const now = await gateway.read('s2s', 'routes', 'interfaces');
          const gone = routesVia(routesOf(now.routes, CONTOSO.name), SITE.interfaceAlias).length === 0;
          return gone && stateOf(now.s2s, SITE.interfaceAlias) === 'Disconnected' ? now : undefined;
        });
        const [page, back] = await world.fetchAll(
          [
            { netns: CONTOSO.vms[0]!.netns, address: SITE.server },
            { netns: serverOf(SITE), address: CONTOSO.vms[0]!.address },
          ],
          4,
        );
        return {
          routes: routesOf(seen.routes, CONTOSO.name),
          other: routesOf(seen.routes, WOODGROVE.name),
          status: statusOf(seen.interfaces, SITE.interfaceAlias),
          page,
          back,
        };
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
      await scene.gateway.tunnels([SITE.interfaceAlias], 'Connected', 30_000);
      const page = await until('the page of New York', 20_000, async () => {
        const [got] = await scene.world.fetchAll([{ netns: CONTOSO.vms[0]!.netns, address: SITE.server }], 4);
        return got;
      });
      return verdict([
        [page.includes(scene.world.run.markers[serverOf(SITE)]!), 'Contoso’s VM fetches its page again'],
      ]);
    },
  },
];
