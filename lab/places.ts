/** Where the lab keeps things on the host, and how its two machines are wired. One lab runs per source tree. */
import { join } from 'node:path';
import { IMAGES } from '../image/build.ts';
import { PROVIDER_MTU } from './fabrikam.ts';
import { Guest, type GuestSpec } from './guest/guest.ts';

const RUN = join(import.meta.dirname, '../.cache/lab');
const MACHINES = ['gateway', 'world'] as const;
export type MachineName = (typeof MACHINES)[number];

export const directoryOf = (name: MachineName): string => join(RUN, name);
export const DRIVE_TREE = join(RUN, 'drive');
export const DRIVE = join(RUN, 'drive.img');
/** Markers and secrets of the run that is up, so that another process can judge it. */
export const RUN_DATA = join(RUN, 'run.json');

/** The world starts first and listens; eth0 is the internet wire, eth1 the provider wire. */
const nics = (end: 'world' | 'gateway'): GuestSpec['nics'] => {
  const last = end === 'world' ? '01' : '33';
  const common = { listens: end === 'world' };
  return [
    { ...common, wire: join(RUN, 'internet.sock'), mac: `52:54:00:4e:00:${last}` },
    { ...common, wire: join(RUN, 'provider.sock'), mac: `52:54:00:4e:01:${last}`, mtu: PROVIDER_MTU },
  ];
};

export const worldGuest = (): Guest =>
  new Guest({
    name: 'world',
    directory: directoryOf('world'),
    disk: IMAGES.world,
    diskFormat: 'raw',
    kernel: {
      image: IMAGES.kernel,
      initrd: IMAGES.initrd,
      append:
        'console=ttyS0 root=LABEL=HNV-ROOT init=/world/init hnv.unpack=/dev/vdb net.ifnames=0 quiet mitigations=off',
    },
    drives: [IMAGES.worldPrograms],
    nics: nics('world')!,
    memoryMiB: 1024,
  });

export const gatewayGuest = (): Guest =>
  new Guest({
    name: 'gateway',
    directory: directoryOf('gateway'),
    disk: IMAGES.appliance,
    diskFormat: 'qcow2',
    drives: [DRIVE],
    nics: nics('gateway')!,
    memoryMiB: 1024,
  });

/** A machine of the lab that another process started. Throws when it does not run. */
export function running(name: MachineName): Guest {
  if (Guest.pidOf(directoryOf(name)) === undefined) throw new Error('the lab does not run: start it with ./bin/lab');
  return Guest.attach(name, directoryOf(name));
}

/** Ends what runs of the lab. Resolves with the names of the machines that did. */
export async function stopAll(): Promise<readonly MachineName[]> {
  const up = MACHINES.filter((name) => Guest.pidOf(directoryOf(name)) !== undefined);
  await Promise.all(up.map((name) => Guest.attach(name, directoryOf(name)).stop()));
  return up;
}

/** Process ids by machine, of those that run. */
export const runningPids = (): ReadonlyMap<MachineName, number> =>
  new Map(
    MACHINES.flatMap((name) => {
      const pid = Guest.pidOf(directoryOf(name));
      return pid === undefined ? [] : [[name, pid] as const];
    }),
  );
