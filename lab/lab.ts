/**
 * The life of a lab: images, two guests side by side, the world inside one, the appliance as the other. Everything it makes is
 * in .cache/lab; `stop` ends both guests.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImages } from '../image/build.ts';
import { makeConfigDrive } from '../image/drive.ts';
import { Appliance, SECRETS_DIR } from './appliance.ts';
import type { Scene } from './checks/check.ts';
import { INTERNET_WIRE, PROVIDER_WIRE } from './checks/wires.ts';
import { TENANTS } from './fabrikam.ts';
import { gatewayYaml } from './gateway-yaml.ts';
import type { Guest } from './guest/guest.ts';
import { DRIVE, DRIVE_TREE, gatewayGuest, RUN_DATA, running, stopAll, worldGuest } from './places.ts';
import type { Progress } from './progress.ts';
import { newRunData } from './run-data.ts';
import { type RunData, World } from './world/world.ts';

export interface Lab extends Scene {
  stop(): Promise<void>;
}

async function makeDrive(run: RunData): Promise<void> {
  rmSync(DRIVE_TREE, { recursive: true, force: true });
  mkdirSync(join(DRIVE_TREE, 'secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(join(DRIVE_TREE, 'gateway.yaml'), gatewayYaml(TENANTS, SECRETS_DIR), { mode: 0o600 });
  for (const [site, secret] of Object.entries(run.secrets))
    writeFileSync(join(DRIVE_TREE, 'secrets', site), `${secret}\n`, { mode: 0o600 });
  await makeConfigDrive(DRIVE_TREE, DRIVE);
}

async function startWorld(guest: Guest, world: World, progress: Progress): Promise<void> {
  await guest.ready();
  progress('the world guest is up');
  await world.bringUp([INTERNET_WIRE, PROVIDER_WIRE]);
  progress('sites, hosts and VMs are in place, both wires are being captured');
  await world.sitesReady();
  progress('the sites’ IPsec daemons listen');
  await world.hostsReady();
  progress('the agents of Host1 and Host2 run');
}

async function startGateway(guest: Guest, gateway: Appliance, progress: Progress): Promise<void> {
  await guest.ready();
  progress('the appliance has booted');
  const pid = await gateway.ready().catch(async (e: Error) => {
    throw new Error(`${e.message}\n${await gateway.journal()}`);
  });
  progress(`the gateway is ready (process ${pid})`);
}

/** The lab that another process started and that still runs. */
export function attachLab(): Scene {
  const run = JSON.parse(readFileSync(RUN_DATA, 'utf8')) as RunData;
  return { world: new World(running('world'), run), gateway: new Appliance(running('gateway')) };
}

/**
 * Builds, boots and sets up. `dist/` must have been built (bin/build.ts). On failure nothing is left running, unless `keep`, for
 * looking at what failed. When `signal` is aborted, it ends what it has launched and rejects.
 */
export async function startLab(progress: Progress, keep = false, signal?: AbortSignal): Promise<Lab> {
  const aborted = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
  aborted.catch(() => undefined);
  await Promise.race([buildImages({ progress: (line) => progress(`image: ${line}`) }), aborted]);
  await stopAll();
  const run = newRunData();
  await makeDrive(run);
  writeFileSync(RUN_DATA, JSON.stringify(run), { mode: 0o600 });
  const guests = { world: worldGuest(), gateway: gatewayGuest() };
  const stop = async (): Promise<void> => {
    await Promise.all([guests.world.stop(), guests.gateway.stop()]);
  };
  try {
    // In this order: the world's ends of the wires listen.
    await guests.world.launch();
    await guests.gateway.launch();
    signal?.throwIfAborted();
    progress('both guests are booting');
    const world = new World(guests.world, run);
    const gateway = new Appliance(guests.gateway);
    const starting = [startWorld(guests.world, world, progress), startGateway(guests.gateway, gateway, progress)];
    await Promise.race([Promise.all(starting), aborted]);
    return { world, gateway, stop };
  } catch (error) {
    if (!keep || signal?.aborted) await stop();
    throw error;
  }
}
