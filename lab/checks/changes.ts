/** Points 6 and 7: a wrong file changes nothing, a right one disturbs nobody. Both are shown under traffic of both tenants. */
import { CONFIG, SECRETS_DIR } from '../appliance.ts';
import { TENANTS, THIRD_TENANT } from '../fabrikam.ts';
import { type BrokenYaml, brokenYamls, gatewayYaml } from '../gateway-yaml.ts';
import type { Done } from '../machine.ts';
import { type Check, type Finding, type Scene, verdict } from './check.ts';
import { FLOWS, underTraffic } from './traffic.ts';

const BROKEN = brokenYamls(gatewayYaml(TENANTS, SECRETS_DIR));
const pathOf = (b: BrokenYaml): string => `/run/lab-${b.name}.yaml`;

/** `file:line:column: path: what is wrong: what to do` */
function explained(b: BrokenYaml, done: Done): Finding {
  const lines = `${done.stderr}${done.stdout}`.split('\n');
  const line = lines.find((l) => l.includes(`${pathOf(b)}:${b.line}:`) && b.words.test(l));
  const cure = line !== undefined && /:\d+:\d+: [^:]+: .+: .+/.test(line);
  return [
    done.code !== 0 && cure,
    line ?? `exit ${done.code}, no line ${b.line} with ${b.words}: ${lines.slice(0, 3).join(' | ')}`,
  ];
}

async function refused(scene: Scene, b: BrokenYaml) {
  await scene.gateway.machine.write(pathOf(b), b.text);
  const done = await scene.gateway.hnvgw('apply', pathOf(b));
  return explained(b, done);
}

const wrongFiles: readonly Check[] = BROKEN.map((b) => ({
  id: `6-${b.name}`,
  title: `${b.title} is refused with line and cure`,
  run: async (scene) => verdict([await refused(scene, b)]),
}));

const untouched: Check = {
  id: '6-untouched',
  title: 'the wrong files, applied once more under traffic, leave the running tenants as they are',
  run: async (scene) => {
    const { gateway, world } = scene;
    const before = await gateway.show('interfaces');
    const { result, findings } = await underTraffic(world, FLOWS, async () => {
      const all: Finding[] = [];
      for (const b of BROKEN) all.push(await refused(scene, b));
      return all;
    });
    const names = (rows: typeof before) =>
      rows.map((r) => `${r.RoutingDomain} ${r.InterfaceAlias} ${r.Status}`).join(', ');
    const planned = await gateway.planned();
    return verdict([
      ...result,
      [names(await gateway.show('interfaces')) === names(before), `interfaces as before: ${names(before)}`],
      [planned.length === 0, planned.length ? `plan: ${planned.join('; ')}` : 'the plan of the running file is empty'],
      ...findings,
    ]);
  },
};

async function applied(scene: Scene, file: string, there: boolean): Promise<Finding[]> {
  const done = await scene.gateway.hnvgw('apply', file);
  const rows = await scene.gateway.show('compartments');
  const listed = rows.some((r) => r.CompartmentDescription === THIRD_TENANT.name);
  return [
    [done.code === 0, `apply: ${(done.stderr || done.stdout).trim().split('\n').at(-1)}`],
    [
      listed === there,
      `${THIRD_TENANT.name} is ${listed ? '' : 'not '}listed beside ${rows.length - (listed ? 1 : 0)} others`,
    ],
  ];
}

const thirdTenant = (id: string, title: string, there: boolean, file: string): Check => ({
  id,
  title,
  run: async (scene) => {
    await scene.gateway.machine.write('/run/lab-third.yaml', gatewayYaml([...TENANTS, THIRD_TENANT], SECRETS_DIR));
    const { result, findings } = await underTraffic(scene.world, FLOWS, () => applied(scene, file, there));
    return verdict([...result, ...findings]);
  },
});

export const changeChecks: readonly Check[] = [
  ...wrongFiles,
  untouched,
  thirdTenant(
    '7-third-tenant',
    'a third tenant is added by apply: nobody loses a packet at 10 ms',
    true,
    '/run/lab-third.yaml',
  ),
  thirdTenant('7-third-tenant-leaves', 'and taken away again, as quietly', false, CONFIG),
];
