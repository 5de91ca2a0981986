/** The generated documents are up to date, and name every key of the schema and no other. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { RECORD_REASONS } from '../../compartments/record-reasons.ts';
import { CONFIG_REASONS } from '../../config/error.ts';
import { renderConfiguration } from '../../config/reference/configuration.ts';
import { renderReasons } from '../../config/reference/reasons.ts';
import { sectionsOf } from '../../config/reference/sections.ts';
import { gatewayFile, hostFile } from '../../config/schema/roots.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';
import { renderReasonHeader } from '../../lib/reason-header.ts';

const file = (name: string) => fs.readFileSync(`${import.meta.dirname}/../../${name}`, 'utf8');

describe('generated reference', () => {
  const fresh: Record<string, () => string> = {
    'docs/configuration.md': renderConfiguration,
    'docs/reasons.md': renderReasons,
    'bpf/reason.h': () => renderReasonHeader(PACKET_REASONS),
  };
  for (const [name, render] of Object.entries(fresh))
    it(`${name} is what \`npm run docs\` writes`, () => assert.equal(file(name), render()));

  it('the documents hold every key of the schemas, under its section, and no other', () => {
    const documented = new Map<string, string[]>();
    let section = '';
    for (const line of file('docs/configuration.md').split('\n')) {
      section = /^##+ (.*)$/.exec(line)?.[1] ?? section;
      const key = /^\| `(\w+)` \|.*\|.*\|.*\|$/.exec(line)?.[1];
      if (key) documented.set(section, [...(documented.get(section) ?? []), key]);
    }
    const sections = [...sectionsOf(gatewayFile), ...sectionsOf(hostFile)];
    for (const s of sections)
      assert.deepEqual(
        documented.get(s.title),
        s.keys.map((k) => k.name),
        s.title,
      );
    const titles = new Set(sections.map((s) => s.title));
    const others = [...documented]
      .filter(([title, names]) => names.length && !titles.has(title))
      .map(([title]) => title);
    assert.deepEqual(others, []);
  });

  it('links lead to headings', () => {
    const text = file('docs/configuration.md');
    const headings = new Set([...text.matchAll(/^##+ (.*)$/gm)].map((m) => m[1]!.toLowerCase().replaceAll(' ', '-')));
    const lost = [...text.matchAll(/\]\(#([^)]+)\)/g)].map((m) => m[1]!).filter((a) => !headings.has(a));
    assert.deepEqual(lost, []);
  });

  it('a key is either served or not', () => {
    for (const s of [...sectionsOf(gatewayFile), ...sectionsOf(hostFile)])
      assert.deepEqual(
        s.keys.map((k) => k.name).filter((k) => s.notServed.includes(k)),
        [],
        s.title,
      );
  });

  it('numbers and names of reasons are unique, and in the range of their area', () => {
    const all = [...PACKET_REASONS, ...CONFIG_REASONS, ...RECORD_REASONS];
    assert.equal(new Set(all.map((r) => r.number)).size, all.length);
    assert.equal(new Set(all.map((r) => r.name)).size, all.length);
    for (const r of PACKET_REASONS) assert.ok(r.number >= 1 && r.number <= 255);
    for (const r of CONFIG_REASONS) assert.ok(r.number >= 256 && r.number <= 511);
    for (const r of RECORD_REASONS) assert.ok(r.number >= 512 && r.number <= 767);
  });
});
