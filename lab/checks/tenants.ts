/** Point 1: who dials in gets its own site, and only its own. */
import { SITES, type Site, serverOf, TENANTS, type Tenant, VMS } from '../fabrikam.ts';
import { pageOf, type World } from '../world/world.ts';
import { type Check, type Finding, type Scene, verdict } from './check.ts';

interface Fetch {
  readonly from: string;
  readonly address: string;
  readonly expect: string; // namespace whose page must come
}

const toSite = (t: Tenant, s: Site): Fetch => ({ from: t.vms[0]!.netns, address: s.server, expect: serverOf(s) });
const toVm = (t: Tenant, s: Site): Fetch => ({
  from: serverOf(s),
  address: t.vms[0]!.address,
  expect: t.vms[0]!.netns,
});

const cityOf = (city: string): Fetch[] =>
  TENANTS.flatMap((t) => t.sites.filter((s) => s.city === city).flatMap((s) => [toSite(t, s), toVm(t, s)]));
const NEW_YORK = cityOf('New York');

/** All at the same time; `expect`'s page and no other must come. */
async function fetched(world: World, fetches: readonly Fetch[]): Promise<readonly Finding[]> {
  const pages = await world.fetchAll(
    fetches.map((f) => ({ netns: f.from, address: f.address })),
    15,
  );
  return fetches.map((f, i): Finding => {
    const page = pages[i];
    const right = page === pageOf(f.expect, world.run.markers[f.expect]!);
    const got = page === undefined ? 'no page' : (/place: (\S+)/.exec(page)?.[1] ?? 'an unknown page');
    return [
      right,
      `${f.from} fetched http://${f.address}/ and got the page of ${got}${right ? '' : `, not of ${f.expect}`}`,
    ];
  });
}

const fetching = (fetches: readonly Fetch[]) => async (scene: Scene) => verdict(await fetched(scene.world, fetches));

export const beforeTunnels: Check = {
  id: '1-before',
  title: 'before a tunnel is up nobody reaches a site, and no site reaches a VM',
  run: async ({ world }) => {
    const pages = await world.fetchAll(
      NEW_YORK.map((f) => ({ netns: f.from, address: f.address })),
      4,
    );
    return verdict(
      NEW_YORK.map((f, i) => [pages[i] === undefined, `${f.from} to http://${f.address}/: ${pages[i] ?? 'no page'}`]),
    );
  },
};

export const tunnelsUp: Check = {
  id: '1-tunnels',
  title: 'three sites and one 131.107.10.10: New York twice dials in with a PSK, San Francisco is dialled',
  run: async ({ gateway, world }) => {
    await Promise.all(SITES.filter((s) => !s.persistent).map((s) => world.dial(s)));
    await gateway.tunnels(
      SITES.map((s) => s.interfaceAlias),
      'Connected',
      90_000,
    );
    const { s2s: rows } = await gateway.read('s2s');
    return verdict(
      rows.map((r) => [r.ConnectionState === 'Connected', `${r.RoutingDomain} ${r.Name} ${r.ConnectionState}`]),
    );
  },
};

export const tenantChecks: readonly Check[] = [
  {
    id: '1-vm-to-site',
    title: 'each VM 10.0.0.10 fetches http://10.1.0.10/ and gets its own site’s page',
    run: fetching(NEW_YORK.filter((f) => VMS.some((vm) => vm.netns === f.from))),
  },
  {
    id: '1-site-to-vm',
    title: 'each New York site fetches http://10.0.0.10/ and gets its own VM’s page',
    run: fetching(NEW_YORK.filter((f) => VMS.some((vm) => vm.netns === f.expect))),
  },
  {
    id: '1-all-at-once',
    title: 'all four fetches at the same time, three rounds',
    run: async ({ world }) => {
      const findings: Finding[] = [];
      for (let round = 0; round < 3; round++) findings.push(...(await fetched(world, NEW_YORK)));
      return verdict(findings);
    },
  },
  {
    id: '1-san-francisco',
    title: 'Woodgrove’s San Francisco site 10.2.0.0/24, both ways',
    run: fetching(cityOf('San Francisco')),
  },
  {
    id: '1-vm-to-vm',
    title: 'each VM on Host1 fetches from its own neighbour 10.0.0.11 on Host2',
    run: fetching(TENANTS.map((t) => ({ from: t.vms[0]!.netns, address: t.vms[1]!.address, expect: t.vms[1]!.netns }))),
  },
];
