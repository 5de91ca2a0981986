/**
 * Builds the appliance (`hnv-gateway.qcow2`, boots by itself on a PC BIOS) and the world guest of the lab (`world.img`, booted
 * with `vmlinuz` and `initrd` beside it, its programs on `world-programs.tar`). Each file is made again only when its inputs
 * changed: Debian's packages take a minute, a changed gateway seconds. Needs root, but no loop device, mount or KVM.
 *
 * SOURCE_DATE_EPOCH (seconds) dates every file of the Debian layer and the initramfs; without it a constant.
 *
 * usage: node image/build.ts [--debian]     (--debian: fetch the Debian packages anew, for security updates)
 */
import { cpSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cached, digestOf } from './cached.ts';
import { makeBootDisk, makeExt4 } from './disk.ts';
import { makeTarDrive } from './drive.ts';
import { kernelOf, makeInitrd } from './initrd.ts';
import { run } from './run.ts';
import { placeAppliance, placeKernel, placeNode, placePrograms, placeWorld, unpack } from './tree.ts';

const here = import.meta.dirname;
const root = join(here, '..');
const dist = join(root, 'dist');
const cache = join(root, '.cache/image');

/** Where the images are after buildImages(). */
export const IMAGES = {
  appliance: join(cache, 'hnv-gateway.qcow2'),
  world: join(cache, 'world.img'),
  worldPrograms: join(cache, 'world-programs.tar'),
  vmlinuz: join(cache, 'vmlinuz'),
  initrd: join(cache, 'initrd'),
} as const;

const DISK_BYTES = 3 * 2 ** 30;
const EPOCH = Number(process.env.SOURCE_DATE_EPOCH ?? 1_760_000_000);
const GATEWAY_PROGRAMS = ['gateway.js', 'hnvgw.js', 'hnvhost.js', 'bpf/overlay.bpf.o'];

const work = (name: string): string => join(cache, 'work', name);
const source = (...names: string[]): string[] => names.map((name) => join(here, name));

export interface BuildOptions {
  readonly debianAnew?: boolean;
  /** Refuse to build an appliance without its programs. */
  readonly complete?: boolean;
  readonly progress: (line: string) => void;
}

/** Fails when `dist/` lacks a program (run `node bin/build.ts` before) or a tool of the build is missing. */
export async function buildImages({ debianAnew = false, complete = true, progress }: BuildOptions): Promise<void> {
  const missing = GATEWAY_PROGRAMS.filter((p) => !existsSync(join(dist, p)));
  if (complete && missing.length > 0) throw new Error(`dist/ lacks ${missing.join(', ')}: run node bin/build.ts first`);
  mkdirSync(work('.'), { recursive: true });

  const step = async (
    name: string,
    files: readonly string[],
    digest: string,
    make: () => Promise<void>,
  ): Promise<void> => {
    const began = performance.now();
    if (await cached(files, digest, make)) progress(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    else progress(`${name}: unchanged`);
  };

  const tars = { appliance: join(cache, 'appliance.tar'), world: join(cache, 'world.tar') };
  const debianDigest = digestOf(source('debian.sh', 'packages.list', 'world/packages.list'), [String(EPOCH)]);
  if (debianAnew) rmSync(tars.appliance, { force: true });
  await step('Debian packages', [tars.appliance, tars.world], debianDigest, async () => {
    await run(join(here, 'debian.sh'), [cache], { env: { SOURCE_DATE_EPOCH: String(EPOCH) } });
  });

  const node = join(cache, 'node');
  const debian = `${debianDigest} ${statSync(tars.appliance).mtimeMs}`;
  await step('Node without debug information', [node], digestOf([], [process.execPath, process.version]), async () => {
    await run('strip', ['--strip-debug', '-o', node, process.execPath]);
  });

  const initrdDigest = digestOf(source('boot', 'initrd.ts', 'tree.ts', 'disk.ts'), [debian]);
  await step('kernel and initramfs', [IMAGES.initrd, IMAGES.vmlinuz], initrdDigest, async () => {
    await unpack(tars.appliance, work('kernel'));
    await makeInitrd(work('kernel'), work('initrd'), IMAGES.initrd, EPOCH);
    cpSync(join(work('kernel'), 'boot', `vmlinuz-${kernelOf(work('kernel'))}`), IMAGES.vmlinuz);
    rmSync(work('kernel'), { recursive: true });
  });

  const worldDigest = digestOf(source('world', 'root/etc'), [initrdDigest, process.version]);
  await step('world guest', [IMAGES.world], worldDigest, async () => {
    await unpack(tars.world, work('world'));
    placeWorld(work('world'));
    placeNode(work('world'), node);
    await makeExt4(IMAGES.world, { tree: work('world'), label: 'HNV-ROOT', bytes: DISK_BYTES });
    rmSync(work('world'), { recursive: true });
  });
  await step('world programs', [IMAGES.worldPrograms], digestOf([dist, ...source('root/usr/bin')]), async () => {
    rmSync(work('programs'), { recursive: true, force: true });
    placePrograms(work('programs'), dist);
    await makeTarDrive(work('programs'), IMAGES.worldPrograms);
  });

  const inputs = [dist, ...source('root', 'charon', 'units.list')];
  await step('appliance', [IMAGES.appliance], digestOf(inputs, [initrdDigest, process.version]), async () => {
    const raw = work('appliance.raw');
    await unpack(tars.appliance, work('appliance'));
    placeKernel(work('appliance'), IMAGES.initrd);
    placeAppliance(work('appliance'));
    placeNode(work('appliance'), node);
    placePrograms(work('appliance'), dist);
    await makeBootDisk(raw, join(here, 'boot/grub.cfg'), {
      tree: work('appliance'),
      label: 'HNV-ROOT',
      bytes: DISK_BYTES,
    });
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, IMAGES.appliance]);
    rmSync(raw);
    rmSync(work('appliance'), { recursive: true });
  });
  progress(`${IMAGES.appliance}: ${(statSync(IMAGES.appliance).size / 1e6).toFixed(0)} MB`);
}

if (import.meta.main)
  await buildImages({
    debianAnew: process.argv.includes('--debian'),
    complete: !process.argv.includes('--if-present'),
    progress: (line) => console.log(line),
  });
