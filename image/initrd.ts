/**
 * The initramfs of both guests: busybox, `boot/init` and the disk drivers of `boot/modules.list` with what they need. About a
 * megabyte, where Debian's own takes tens and seconds of an emulated processor. It is made for the kernel of the image, so a
 * new kernel means a new image (as everything on the appliance does).
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './run.ts';

const here = import.meta.dirname;

/** Lines without comments and blank lines. */
export const linesOf = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');

/** Version of the one kernel in a root tree, for instance `6.12.117+deb12-cloud-amd64`. */
export function kernelOf(tree: string): string {
  const versions = readdirSync(join(tree, 'usr/lib/modules'));
  if (versions.length !== 1) throw new Error(`one kernel expected in the image, found: ${versions.join(', ')}`);
  return versions[0]!;
}

const moduleOf = (file: string): string =>
  file
    .replace(/^.*\//, '')
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');

/** modules.dep (`path: path path`) of the modules in `names` and what they need; paths relative to the version's directory. */
export function dependencies(directory: string, names: readonly string[]): Map<string, readonly string[]> {
  const all = new Map(
    linesOf(join(directory, 'modules.dep')).map((line) => {
      const [file, needs] = line.split(':') as [string, string];
      return [file, needs.split(/\s+/).filter((f) => f !== '')];
    }),
  );
  const wanted = new Set(names.map((n) => n.replaceAll('-', '_')));
  const roots = [...all.keys()].filter((file) => wanted.has(moduleOf(file)));
  const files = new Set(roots.flatMap((file) => [file, ...all.get(file)!]));
  return new Map([...files].map((file) => [file, all.get(file)!]));
}

export async function makeInitrd(tree: string, work: string, out: string, epoch: number): Promise<void> {
  const version = kernelOf(tree);
  const from = join(tree, 'usr/lib/modules', version);
  const to = join(work, 'lib/modules', version);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  const needed = dependencies(from, linesOf(join(here, 'boot/modules.list')));
  for (const file of needed.keys()) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(from, file), join(to, file));
    if (file.endsWith('.xz')) await run('unxz', [join(to, file)]);
  }
  const plain = (file: string): string => file.replace(/\.xz$/, '');
  const dep = [...needed].map(([file, needs]) => `${plain(file)}: ${needs.map(plain).join(' ')}\n`);
  writeFileSync(join(to, 'modules.dep'), dep.sort().join(''));
  const modules = new Set([...needed.keys()].map(moduleOf));
  const aliases = linesOf(join(from, 'modules.alias')).filter((line) => modules.has(line.split(' ')[2]!));
  writeFileSync(join(to, 'modules.alias'), `${aliases.join('\n')}\n`);

  mkdirSync(join(work, 'bin'), { recursive: true });
  cpSync('/bin/busybox', join(work, 'bin/busybox'), { dereference: true });
  cpSync(join(here, 'boot/init'), join(work, 'init'));
  const pack = `find . -exec touch -h -d @${epoch} {} + && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet | gzip -n >"$1"`;
  await run('sh', ['-euc', pack, 'sh', out], { cwd: work });
}
