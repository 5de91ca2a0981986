/** The import table of docs/architecture.md is what the code does, and only the named places touch the system. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const SYSTEM = /from '(node:(fs|net|dgram|child_process|http|tls|dns|os|process|timers)(\/promises)?|koffi|fastify)'/;
const CLOCK =
  /\b(Date\.now|new Date\(\)|Math\.random|randomBytes|randomUUID|setTimeout|setInterval|performance\.now|process\.hrtime)\b/;

interface Row {
  readonly folder: string;
  readonly imports: readonly string[];
  readonly system: 'yes' | readonly string[];
}

const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1]!);

function table(): Row[] {
  const rows = fs
    .readFileSync(`${root}/docs/architecture.md`, 'utf8')
    .split('\n')
    .filter((l) => /^\| `/.test(l))
    .map((l) =>
      l
        .split('|')
        .slice(1, -1)
        .map((c) => c.trim()),
    );
  const all: string[] = [];
  return rows.map(([folder = '', , imports = '', system = '']) => {
    const name = names(folder)[0]!;
    const row = {
      folder: name,
      imports: imports === 'all of the above' ? [...all] : names(imports),
      system: system === 'yes' ? ('yes' as const) : names(system),
    };
    all.push(name);
    return row;
  });
}

function sources(folder: string): string[] {
  const dir = path.join(root, folder);
  if (!fs.existsSync(dir)) return [];
  return fs
    .readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.ts'))
    .map((f) => path.join(folder, f));
}

const importsOf = (file: string) =>
  [...fs.readFileSync(path.join(root, file), 'utf8').matchAll(/(?:from|import)\s*\(?'(\.[^']*)'/g)].map((m) =>
    path.relative(root, path.resolve(root, path.dirname(file), m[1]!)),
  );

describe('architecture', () => {
  const rows = table();

  it('names every folder that holds code', () => {
    const folders = fs
      .readdirSync(root, { withFileTypes: true })
      .filter((e) => e.isDirectory() && !/^(\.|node_modules$|dist$|docs$|test$)/.test(e.name))
      .map((e) => e.name);
    assert.deepEqual(
      folders.filter((f) => !rows.some((r) => r.folder === f)),
      [],
    );
  });

  for (const row of rows) {
    it(`${row.folder} imports only ${row.imports.join(', ') || 'itself'}`, () => {
      const wrong = sources(row.folder).flatMap((file) =>
        importsOf(file)
          .filter((to) => ![row.folder, ...row.imports].includes(to.split('/')[0]!))
          .map((to) => `${file} imports ${to}`),
      );
      assert.deepEqual(wrong, []);
    });
    it(`${row.folder} touches the system only where the table says`, () => {
      const { system } = row;
      if (system === 'yes') return;
      const wrong = sources(row.folder)
        .filter((f) => !system.some((s) => f === s || f.startsWith(`${s}/`)))
        .filter((f) => {
          const text = fs.readFileSync(path.join(root, f), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
          return SYSTEM.test(text) || CLOCK.test(text);
        });
      assert.deepEqual(wrong, []);
    });
  }
});
