/**
 * Points 6 and 7: a wrong file changes nothing, a right one disturbs nobody. All of it happens under the traffic of both tenants,
 * once, in one go; each check judges its own part, and those about traffic that the whole of it lost no packet. A lost one is told
 * with the step during which it was sent.
 */
import { CONFIG, type InterfaceRow, type Refused, SECRETS_DIR } from '../appliance.ts';
import { TENANTS, THIRD_TENANT } from '../fabrikam.ts';
import { type BrokenYaml, brokenYamls, gatewayYaml } from '../gateway-yaml.ts';
import type { Done } from '../machine.ts';
import { type Check, type Finding, once, type Scene, verdict } from './check.ts';
import { FLOWS, underTraffic } from './traffic.ts';

const RUNNING = gatewayYaml(TENANTS, SECRETS_DIR);
const BROKEN = brokenYamls(RUNNING);
const THIRD = '/run/lab-third.yaml';
const pathOf = (b: BrokenYaml): string => `/run/lab-${b.name}.yaml`;

/** `file:line:column: path: what is wrong: what to do` */
function explained(b: BrokenYaml, { code, stdout, stderr }: Done): Finding {
  const lines = `${stderr}${stdout}`.split('\n');
  const line = lines.find((l) => l.includes(`${pathOf(b)}:${b.line}:`) && b.words.test(l));
  const cure = line !== undefined && /:\d+:\d+: [^:]+: .+: .+/.test(line);
  return [
    code !== 0 && cure,
    line ?? `exit ${code}, no line ${b.line} with ${b.words}: ${lines.slice(0, 3).join(' | ')}`,
  ];
}

/** The API's answer, judged as what `hnvgw` would print of it. */
function explainedByApi(b: BrokenYaml, { status, body }: Refused): Finding {
  const errors = body.errors ?? [];
  const error = errors.find((e) => e.file === pathOf(b) && e.line === b.line && b.words.test(`${e.path} ${e.problem}`));
  const text = error ? `${error.file}:${error.line}: ${error.path}: ${error.problem}: ${error.cure}` : '';
  return [
    status === 422 && error !== undefined && error.cure !== '',
    text || `status ${status}, no line ${b.line} with ${b.words}: ${errors.map((e) => e.problem).join(' | ')}`,
  ];
}

/** The first of the wrong files by the operator's command, the others by the API, whose answer that command prints. */
async function applyWrong({ gateway }: Scene): Promise<ReadonlyMap<string, Finding>> {
  const [first, ...others] = BROKEN as readonly [BrokenYaml, ...BrokenYaml[]];
  const shown = explained(first, await gateway.hnvgw('apply', pathOf(first)));
  const answers = await gateway.refusals(others.map((b) => ({ path: pathOf(b), text: b.text })));
  return new Map([[first.name, shown], ...others.map((b, i) => [b.name, explainedByApi(b, answers[i]!)] as const)]);
}

async function listed({ gateway }: Scene, there: boolean): Promise<Finding> {
  const { compartments: rows } = await gateway.read('compartments');
  const found = rows.some((r) => r.CompartmentDescription === THIRD_TENANT.name);
  return [
    found === there,
    `${THIRD_TENANT.name} is ${found ? '' : 'not '}listed beside ${rows.length - (found ? 1 : 0)} others`,
  ];
}

async function joins(scene: Scene): Promise<readonly Finding[]> {
  const done = await scene.gateway.hnvgw('apply', THIRD);
  const said = (done.stderr || done.stdout).trim().split('\n').at(-1);
  return [[done.code === 0, `apply: ${said}`], await listed(scene, true)];
}

async function leaves(scene: Scene): Promise<readonly Finding[]> {
  await scene.gateway.apply(CONFIG, RUNNING);
  return [await listed(scene, false)];
}

const names = (rows: readonly InterfaceRow[]): string =>
  rows.map((r) => `${r.RoutingDomain} ${r.InterfaceAlias} ${r.Status}`).join(', ');

const changes = once(async (scene) => {
  const { gateway, world } = scene;
  await gateway.machine.write(pathOf(BROKEN[0]!), BROKEN[0]!.text);
  await gateway.machine.write(THIRD, gatewayYaml([...TENANTS, THIRD_TENANT], SECRETS_DIR));
  const before = await gateway.read('interfaces');
  return underTraffic(world, FLOWS, async (step) => {
    const wrong = await step('wrong files are refused', () => applyWrong(scene));
    const planned = await gateway.stillNeeded(RUNNING);
    const after = await gateway.read('interfaces');
    const joined = await step(`${THIRD_TENANT.name} is added`, () => joins(scene));
    const left = await step(`${THIRD_TENANT.name} is taken away`, () => leaves(scene));
    return { wrong, planned, before: names(before.interfaces), after: names(after.interfaces), joined, left };
  });
});

const wrongFiles: readonly Check[] = BROKEN.map((b) => ({
  id: `6-${b.name}`,
  title: `${b.title} is refused with line and cure, under traffic`,
  run: async (scene) => verdict([(await changes(scene)).result.wrong.get(b.name)!]),
}));

const untouched: Check = {
  id: '6-untouched',
  title:
    'the wrong files leave the running tenants as they are: no packet lost at 10 ms, interfaces as before, nothing to do',
  run: async (scene) => {
    const { result, findings } = await changes(scene);
    const { wrong, planned, before, after } = result;
    return verdict([
      ...wrong.values(),
      [
        after === before,
        after === before ? `interfaces as before: ${before}` : `interfaces: ${before} became ${after}`,
      ],
      [planned.length === 0, planned.length ? `plan: ${planned.join('; ')}` : 'the plan of the running file is empty'],
      ...findings,
    ]);
  },
};

const thirdTenant = (id: string, title: string, part: 'joined' | 'left'): Check => ({
  id,
  title,
  run: async (scene) => {
    const { result, findings } = await changes(scene);
    return verdict([...result[part], ...findings]);
  },
});

export const changeChecks: readonly Check[] = [
  ...wrongFiles,
  untouched,
  thirdTenant('7-third-tenant', 'a third tenant is added by apply: nobody loses a packet at 10 ms', 'joined'),
  thirdTenant('7-third-tenant-leaves', 'and taken away again, as quietly', 'left'),
];
