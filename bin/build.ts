/**
 * Builds dist/, what the appliance and the hosts run: one ESM bundle per program for Node 24, koffi (the only dependency with a
 * binary) beside them, and the eBPF object. Fast enough to run before every test: a bundle takes well under a second.
 *
 * usage: node bin/build.ts [--if-present]   (--if-present leaves out programs whose source does not exist yet)
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

const PROGRAMS: readonly { readonly name: string; readonly entry: string }[] = [
  { name: 'gateway', entry: 'gateway/main.ts' },
  { name: 'hnvgw', entry: 'gateway/cli/main.ts' },
  { name: 'hnvhost', entry: 'host/main.ts' },
];

/** koffi's own loader and the binary for the product's platform; its other platforms, sources and documents stay out. */
const KOFFI = [
  'koffi/package.json',
  'koffi/LICENSE.txt',
  'koffi/index.js',
  'koffi/index.cjs',
  'koffi/src/koffi',
  '@koromix/koffi-linux-x64/package.json',
  '@koromix/koffi-linux-x64/index.js',
  '@koromix/koffi-linux-x64/linux_x64',
];

export async function buildPrograms(programs = PROGRAMS): Promise<void> {
  // Shared chunks are named after their content; the former ones would stay, and be shipped.
  for (const file of readdirSync(dist)) if (/\.js(\.map|\.LEGAL\.txt)?$/.test(file)) rmSync(join(dist, file));
  // Without it Node parses each file once more, to find out what it is.
  writeFileSync(join(dist, 'package.json'), '{ "type": "module" }\n');
  await build({
    absWorkingDir: root,
    entryPoints: programs.map(({ name, entry }) => ({ in: entry, out: name })),
    outdir: dist,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // What a command loads only when it needs it (the schemas) stays in a file of its own.
    splitting: true,
    external: ['koffi'],
    sourcemap: 'linked',
    legalComments: 'linked',
    logLevel: 'warning',
    // CommonJS dependencies inside an ESM bundle call require() for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
}

function copyKoffi(): void {
  for (const path of KOFFI) {
    const to = join(dist, 'node_modules', path);
    mkdirSync(dirname(to), { recursive: true });
    const wanted = (file: string): boolean => statSync(file).isDirectory() || /\.(c?js|json|txt|node)$/.test(file);
    cpSync(join(root, 'node_modules', path), to, { recursive: true, filter: wanted });
  }
}

if (import.meta.main) {
  const present = PROGRAMS.filter(({ entry }) => existsSync(join(root, entry)));
  const absent = PROGRAMS.filter((p) => !present.includes(p));
  if (absent.length > 0 && !process.argv.includes('--if-present'))
    throw new Error(`no source for ${absent.map((p) => p.entry).join(', ')}`);
  mkdirSync(dist, { recursive: true });
  if (present.length > 0) await buildPrograms(present);
  copyKoffi();
  if (existsSync(join(root, 'bpf/overlay.bpf.c'))) execFileSync(join(root, 'bin/bpf.sh'), { stdio: 'inherit' });
}
