/**
 * Builds the appliance (`hnv-gateway.qcow2`, boots by itself on a PC BIOS) and the world guest of the lab (`world.img`, booted
 * with `kernel` and `initrd` beside it, its programs on `world-programs.tar`). Each file is made again only when its inputs
 * changed: Debian's packages take a minute, a changed gateway seconds. Needs root, but no loop device or KVM.
 *
 * SOURCE_DATE_EPOCH (seconds) dates every file of the Debian layer and the initramfs; without it a constant.
 *
 * usage: node image/build.ts [--debian]     (--debian: fetch the Debian packages anew, for security updates)
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alone, cached, digestOf } from './cached.ts';
import { makeBootDisk, makeExt4 } from './disk.ts';
import { makeTarDrive } from './drive.ts';
import { kernelOf, makeInitrd } from './initrd.ts';
import { run } from './run.ts';
import {
  compilePrograms,
  placeAppliance,
  placeCompiled,
  placeKernel,
  placeNode,
  placePrograms,
  placeWorld,
  unpack,
  unpackModules,
} from './tree.ts';
import { vmlinuxOf } from './vmlinux.ts';

const here = import.meta.dirname;
const root = join(here, '..');
const dist = join(root, 'dist');
const cache = join(root, '.cache/image');

/** Where the images are after buildImages(). */
export const IMAGES = {
  appliance: join(cache, 'hnv-gateway.qcow2'),
  world: join(cache, 'world.img'),
  worldPrograms: join(cache, 'world-programs.tar'),
  kernel: join(cache, 'kernel'),
  initrd: join(cache, 'initrd'),
} as const;

const DISK_BYTES = 3 * 2 ** 30;
const EPOCH = Number(process.env.SOURCE_DATE_EPOCH ?? 1_760_000_000);
const GATEWAY_PROGRAMS = ['gateway.js', 'hnvgw.js', 'hnvhost.js', 'bpf/overlay.bpf.o', 'bpf/nat.bpf.o'];

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
  const wait = (): void => progress('waiting for another build');
  await alone(join(cache, 'lock'), wait, () => buildSteps(debianAnew, progress));
  progress(`${IMAGES.appliance}: ${(statSync(IMAGES.appliance).size / 1e6).toFixed(0)} MB`);
}

async function buildSteps(debianAnew: boolean, progress: (line: string) => void): Promise<void> {
  const step: <F extends readonly string[]>(name: string, ...work: Parameters<typeof cached<F>>) => Promise<void> =
    async (name, ...work) => {
      const began = performance.now();
      const made = await cached(...work);
      progress(`${name}: ${made ? `${((performance.now() - began) / 1000).toFixed(1)} s` : 'unchanged'}`);
    };

  const tars = [join(cache, 'appliance.tar'), join(cache, 'world.tar')] as const;
  const debianDigest = digestOf(source('debian.sh', 'packages.list', 'world/packages.list'), [String(EPOCH)]);
  if (debianAnew) rmSync(tars[0], { force: true });
  await step('Debian packages', tars, debianDigest, async (...out) => {
    await run(join(here, 'debian.sh'), out, { env: { SOURCE_DATE_EPOCH: String(EPOCH) } });
  });

  const node = join(cache, 'node');
  const debian = `${debianDigest} ${statSync(tars[0]).mtimeMs}`;
  await step(
    'Node without debug information',
    [node],
    digestOf([], [process.execPath, process.version]),
    async (out) => {
      await run('strip', ['--strip-debug', '-o', out, process.execPath]);
    },
  );

  const initrdDigest = digestOf(source('boot', 'initrd.ts', 'vmlinux.ts', 'tree.ts', 'disk.ts'), [debian]);
  const boot = [IMAGES.initrd, IMAGES.kernel] as const;
  await step('kernel and initramfs', boot, initrdDigest, async (initrd, kernel) => {
    await unpack(tars[0], work('kernel'));
    await makeInitrd(work('kernel'), work('initrd'), initrd, EPOCH);
    const bzImage = readFileSync(join(work('kernel'), 'boot', `vmlinuz-${kernelOf(work('kernel'))}`));
    writeFileSync(kernel, vmlinuxOf(bzImage) ?? bzImage);
    rmSync(work('kernel'), { recursive: true });
  });

  const worldDigest = digestOf(source('world', 'root/etc'), [initrdDigest, process.version]);
  await step('world guest', [IMAGES.world], worldDigest, async (out) => {
    await unpack(tars[1], work('world'));
    await unpackModules(work('world'));
    placeWorld(work('world'));
    placeNode(work('world'), node);
    await makeExt4(out, { tree: work('world'), label: 'HNV-ROOT', bytes: DISK_BYTES });
    rmSync(work('world'), { recursive: true });
  });
  const inputs = [dist, ...source('root', 'charon', 'units.list')];
  const applianceDigest = digestOf(inputs, [initrdDigest, process.version]);
  const compiled = join(cache, 'compiled.tar');
  await step('appliance', [IMAGES.appliance, compiled], applianceDigest, async (out, compiledOut) => {
    const raw = work('appliance.raw');
    await unpack(tars[0], work('appliance'));
    placeKernel(work('appliance'), IMAGES.initrd);
    await unpackModules(work('appliance'));
    placeAppliance(work('appliance'));
    placeNode(work('appliance'), node);
    placePrograms(work('appliance'), dist);
    await makeTarDrive(await compilePrograms(work('appliance')), compiledOut);
    const root = { tree: work('appliance'), label: 'HNV-ROOT', bytes: DISK_BYTES };
    await makeBootDisk(raw, join(here, 'boot/grub.cfg'), root);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, out]);
    rmSync(raw);
    rmSync(work('appliance'), { recursive: true });
  });

  const programsDigest = digestOf([dist, ...source('root/usr/bin')], [applianceDigest]);
  await step('world programs', [IMAGES.worldPrograms], programsDigest, async (out) => {
    rmSync(work('programs'), { recursive: true, force: true });
    placePrograms(work('programs'), dist);
    await placeCompiled(work('programs'), compiled);
    await makeTarDrive(work('programs'), out);
  });
}

if (import.meta.main)
  await buildImages({
    debianAnew: process.argv.includes('--debian'),
    complete: !process.argv.includes('--if-present'),
    progress: (line) => console.log(line),
  });
