/** `node bin/reasons.ts` writes bpf/reason.h from lib/reason.ts; with `--check` it only says whether the file is up to date. */
import fs from 'node:fs';
import path from 'node:path';
import { PACKET_REASONS } from '../lib/reason.ts';
import { renderReasonHeader } from '../lib/reason-header.ts';

const file = path.resolve(import.meta.dirname, '../bpf/reason.h');
const text = renderReasonHeader(PACKET_REASONS);
if (process.argv.includes('--check')) {
  if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
    console.error('bpf/reason.h is not what lib/reason.ts says: run node bin/reasons.ts');
    process.exitCode = 1;
  }
} else fs.writeFileSync(file, text);
