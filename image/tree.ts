/** Puts a guest's root directory together: Debian's tar, then our files over it. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dependencies, kernelOf, linesOf } from './initrd.ts';
import { run } from './run.ts';

const here = import.meta.dirname;
const LOADED_AT_BOOT = 'root/etc/modules-load.d/hnv-gateway.conf';
const PRODUCT = 'usr/lib/hnv-gateway';
/** Where the programs find their compiled code; hnv-gateway.service and the commands in root/usr/bin name it to Node. */
const COMPILED = `${PRODUCT}/compile-cache`;
const PROGRAMS = ['gateway.js', 'hnvgw.js', 'hnvhost.js'];

/** Unpacks a tar into an empty directory. */
export async function unpack(tar: string, tree: string): Promise<void> {
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  await run('tar', ['-xf', tar, '-C', tree, '--numeric-owner']);
}

function place(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

/** The gateway's programs, the eBPF object and the two commands on PATH: what `dist/` holds, laid out as on a machine, without source maps. */
export function placePrograms(tree: string, dist: string): void {
  for (const name of readdirSync(dist)) if (!name.endsWith('.map')) place(join(dist, name), join(tree, PRODUCT, name));
  for (const name of ['hnvgw', 'hnvhost']) place(join(here, 'root/usr/bin', name), join(tree, 'usr/bin', name));
}

export function placeNode(tree: string, node: string): void {
  place(node, join(tree, PRODUCT, 'node'));
  chmodSync(join(tree, PRODUCT, 'node'), 0o755);
}

/**
 * Lets Node compile the programs once, in the tree itself: its cache (`node:module`, NODE_COMPILE_CACHE) goes by path, version and
 * user, and saves every start a third of its time. Returns the directory with the result.
 */
export async function compilePrograms(tree: string): Promise<string> {
  const programs = PROGRAMS.filter((name) => existsSync(join(tree, PRODUCT, name)));
  const script = programs.map((name) => `chroot "$1" /${PRODUCT}/node /${PRODUCT}/${name} --help`);
  // The programs look into /proc as they load; the mount ends with the namespace.
  const inTree = ['set -eu', 'mount -t proc proc "$1/proc"', ...script].join('\n');
  mkdirSync(join(tree, COMPILED), { recursive: true });
  await run('unshare', ['--mount', 'sh', '-c', inTree, 'sh', tree], { env: { NODE_COMPILE_CACHE: `/${COMPILED}` } });
  return join(tree, COMPILED);
}

/** The result of compilePrograms, kept in a tar, for another tree with the same programs. */
export const placeCompiled = (tree: string, tar: string): Promise<void> => unpack(tar, join(tree, COMPILED));

/** /boot as GRUB and the lab expect it: `vmlinuz` and `initrd` without a version in their names. */
export function placeKernel(tree: string, initrd: string): string {
  const version = kernelOf(tree);
  rmSync(join(tree, 'boot', `System.map-${version}`), { force: true });
  symlinkSync(`vmlinuz-${version}`, join(tree, 'boot/vmlinuz'));
  place(initrd, join(tree, 'boot/initrd'));
  return join(tree, 'boot', `vmlinuz-${version}`);
}

/** Modules that every boot loads are kept uncompressed: xz costs an emulated processor more than loading them does. */
export async function unpackModules(tree: string): Promise<void> {
  const version = kernelOf(tree);
  const directory = join(tree, 'usr/lib/modules', version);
  const packed = [...dependencies(directory, linesOf(join(here, LOADED_AT_BOOT))).keys()].filter((f) =>
    f.endsWith('.xz'),
  );
  for (const file of packed) await run('unxz', [join(directory, file)]);
  await run('chroot', [tree, 'depmod', version]);
}

function enable(tree: string, unit: string): void {
  const template = unit.replace(/@.*\./, '@.');
  const wants = unit.startsWith('serial-getty@') ? 'getty.target.wants' : 'multi-user.target.wants';
  const own = join(tree, 'etc/systemd/system', unit);
  const link = join(tree, 'etc/systemd/system', wants, unit);
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(existsSync(own) ? `/etc/systemd/system/${unit}` : `/lib/systemd/system/${template}`, link);
}

function mask(tree: string, unit: string): void {
  const directory = unit.endsWith('-generator') ? 'system-generators' : 'system';
  const link = join(tree, 'etc/systemd', directory, unit);
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync('/dev/null', link);
}

/** Everything that makes a Debian an appliance: our files, charon's configuration, units. */
export function placeAppliance(tree: string): void {
  cpSync(join(here, 'root'), tree, { recursive: true, verbatimSymlinks: true });
  place(join(here, 'charon/strongswan.conf'), join(tree, 'etc/hnv-gateway/strongswan.conf'));
  chmodSync(join(tree, 'etc/hnv-gateway'), 0o700);
  for (const wants of ['multi-user.target.wants', 'timers.target.wants', 'sysinit.target.wants'])
    for (const unit of readdirSync(join(tree, 'etc/systemd/system', wants)))
      unlinkSync(join(tree, 'etc/systemd/system', wants, unit));
  for (const line of linesOf(join(here, 'units.list'))) {
    const [verb, unit] = line.split(/\s+/) as [string, string];
    if (verb === 'enable') enable(tree, unit);
    else if (verb === 'mask') mask(tree, unit);
    else throw new Error(`units.list: ${line}`);
  }
}

export function placeWorld(tree: string): void {
  place(join(here, 'world/init'), join(tree, 'world/init'));
  for (const name of ['fstab', 'hostname', 'hosts', 'machine-id'])
    place(join(here, 'root/etc', name), join(tree, 'etc', name));
}
