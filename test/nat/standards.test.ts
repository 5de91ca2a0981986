/** The table of standards names tests that exist, and a result for every requirement. */
import assert from 'node:assert/strict';
import fs from 'node:fs';

const root = `${import.meta.dirname}/../..`;
const text = fs.readFileSync(`${root}/docs/standards.md`, 'utf8');
const DIFFERENTIAL = /`differential`: `([^`]+)`/.exec(text)?.[1];

const rows = text
  .split('\n')
  .filter((l) => /^\| (REQ|§|[a-zI])/.test(l) && !/^\| (requirement|section) \|/.test(l))
  .map((l) =>
    l
      .split('|')
      .slice(1, -1)
      .map((c) => c.trim()),
  );

/** Titles of the tests in a file, as they are written. */
const titles = (file: string): readonly string[] =>
  [...fs.readFileSync(`${root}/${file}`, 'utf8').matchAll(/\bit\(\s*(?:'([^']+)'|"([^"]+)"|`([^`$]+)`)/g)].map(
    (m) => m[1] ?? m[2] ?? m[3]!,
  );

describe('docs/standards.md', () => {
  it('names only tests that exist', () => {
    assert.ok(DIFFERENTIAL);
    assert.ok(rows.length >= 60, `${rows.length} rows`);
    for (const [requirement, , test] of rows) {
      const name = /^`([^`]+)`$/.exec(test ?? '')?.[1];
      assert.ok(name, `${requirement}: ${test}`);
      const [file, title] = (name === 'differential' ? DIFFERENTIAL : name).split(' › ');
      assert.ok(title && titles(file!).includes(title), `${requirement}: there is no test ${name}`);
    }
  });

  it('says of every requirement how it is met', () => {
    for (const [requirement, behaviour, , result] of rows) {
      assert.ok(behaviour, requirement);
      assert.match(result ?? '', /^(met|differs|open)\b/, requirement);
    }
  });

  it('has every requirement of RFC 4787, 5382 and 6888', () => {
    const of = (rfc: number): readonly number[] => {
      const section = text.split(/^## /m).find((s) => s.startsWith(`RFC ${rfc}:`)) ?? '';
      return [...section.matchAll(/^\| REQ-(\d+) /gm)].map((m) => Number(m[1]));
    };
    const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i + 1);
    assert.deepEqual(of(4787), upTo(14));
    assert.deepEqual(of(5382), upTo(10));
    assert.deepEqual(of(6888), upTo(15));
  });
});
