/**
 * `node bin/docs.ts` writes the generated files of docs/ and bpf/; with `--check` it only says which of them are not up to date
 * and exits 1.
 */
import fs from 'node:fs';
import path from 'node:path';
import { renderConfiguration } from '../config/reference/configuration.ts';
import { renderReasons } from '../config/reference/reasons.ts';
import { PACKET_REASONS } from '../lib/reason.ts';
import { renderReasonHeader } from '../lib/reason-header.ts';

const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': renderConfiguration,
  'docs/reasons.md': renderReasons,
  'bpf/reason.h': () => renderReasonHeader(PACKET_REASONS),
};

const root = path.resolve(import.meta.dirname, '..');
const check = process.argv.includes('--check');
for (const [name, render] of Object.entries(GENERATED)) {
  const file = path.join(root, name);
  const text = render();
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) continue;
  if (check) {
    console.error(`${name} is not up to date: run \`npm run docs\``);
    process.exitCode = 1;
  } else {
    fs.writeFileSync(file, text);
    console.log(`wrote ${name}`);
  }
}
