/** Whatever the text, loading answers with a configuration or with errors that point into the text; it never throws. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ConfigError } from '../../config/error.ts';
import { formatConfigError } from '../../config/error.ts';
import type { Result } from '../../lib/result.ts';
import { anySecret, FABRIKAM, gateway, HOST1, host } from './examples.ts';

/** One tenant: enough of the shape for what tries every byte. */
const ONE_TENANT = FABRIKAM.slice(0, FABRIKAM.indexOf('  - Name: Woodgrove'));

function sound<T>(text: string, loaded: Result<T, readonly ConfigError[]>): void {
  if (loaded.ok) return;
  const lines = text.split('\n');
  assert.ok(loaded.error.length > 0, 'refused without an error');
  let before = [0, 0];
  for (const e of loaded.error) {
    const shown = formatConfigError(e);
    assert.ok(Number.isInteger(e.line) && e.line >= 1 && e.line <= lines.length, `${shown} (of ${lines.length} lines)`);
    assert.ok(e.column >= 1 && e.column <= lines[e.line - 1]!.length + 1, shown);
    assert.ok(e.problem && e.cure && e.path, shown);
    assert.ok(!/[\n\r\0]/.test(shown), JSON.stringify(shown));
    assert.ok(e.line > before[0]! || (e.line === before[0] && e.column >= before[1]!), `${shown} is out of order`);
    before = [e.line, e.column];
  }
}

const soundGateway = (text: string) => sound(text, gateway(text));
const soundHost = (text: string) => sound(text, host(text));

const KEY = /[A-Z]\w+(?=:)/g;
const splice = (text: string, at: number, length: number, put: string) =>
  text.slice(0, at) + put + text.slice(at + length);

/** Deletes, doubles or renames a key, a line, or a value of the text. */
const mutation = (text: string): fc.Arbitrary<string> => {
  const keys = [...text.matchAll(KEY)];
  const known = [...new Set(keys.map((k) => k[0]))];
  const lines = text.split('\n');
  const key = fc.constantFrom(...keys);
  const line = fc.nat(lines.length - 1);
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '[]',
      '{}',
      '~',
      '*x',
      '&x',
      '!t',
      '0.0.0.0',
      '::',
      'fe80::1',
      '999999999999',
      '{ File: x }',
      '- -',
      '"',
    ),
    fc.string({ maxLength: 12, unit: 'grapheme' }),
  );
  return fc.oneof(
    fc.tuple(key, fc.constantFrom(...known)).map(([k, to]) => splice(text, k.index, k[0].length, to)),
    fc.tuple(key, fc.string({ maxLength: 8 })).map(([k, to]) => splice(text, k.index, k[0].length, to)),
    line.map((i) => lines.toSpliced(i, 1).join('\n')),
    line.map((i) => lines.toSpliced(i, 0, lines[i]!).join('\n')),
    fc.tuple(line, line).map(([i, j]) => lines.toSpliced(i, 1, lines[j]!).join('\n')),
    fc.tuple(key, value).map(([k, v]) => {
      const from = k.index + k[0].length + 1;
      const end = text.slice(from).search(/[\n,}]/);
      return splice(text, from, end, ` ${v}`);
    }),
    fc
      .tuple(fc.nat(text.length - 1), fc.string({ maxLength: 3, unit: 'binary' }))
      .map(([i, c]) => splice(text, i, c.length, c)),
  );
};

/** Several mutations on top of each other. */
const mutated = (text: string): fc.Arbitrary<string> =>
  mutation(text).chain((once) =>
    fc.oneof({ arbitrary: fc.constant(once), weight: 2 }, { arbitrary: mutation(`${once}\nA:`), weight: 1 }),
  );

describe('loading is total', function () {
  this.timeout(180_000);

  it('a file cut off after any byte', () => {
    for (let length = 0; length <= ONE_TENANT.length; length++) soundGateway(ONE_TENANT.slice(0, length));
  });

  it("mutations of the gateway's example", () => {
    fc.assert(fc.property(mutated(FABRIKAM), soundGateway), { numRuns: 200 });
  });

  it("mutations of the host's example", () => {
    fc.assert(fc.property(mutated(HOST1), soundHost), { numRuns: 150 });
  });

  it('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), soundGateway), { numRuns: 500 });
    const yaml = fc.array(
      fc.constantFrom(
        'Gateway',
        ': ',
        '- ',
        '\n',
        '  ',
        '{',
        '}',
        '[',
        ']',
        '&a ',
        '*a',
        '"',
        '|',
        '>',
        '#',
        '!',
        '?',
        ',',
        '%',
        '---',
        '\t',
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(
        yaml.map((parts) => parts.join('')),
        soundGateway,
      ),
      { numRuns: 1000 },
    );
  });

  it('random bytes, as a file gives them', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => new TextDecoder().decode(b));
    fc.assert(fc.property(bytes, soundGateway), { numRuns: 300 });
  });

  it('every value of the example in place of every other', () => {
    const values = [...new Set([...ONE_TENANT.matchAll(/: ([^\s,{}[\]]+)/g)].map((m) => m[1]!))];
    const places = [...ONE_TENANT.matchAll(/: ([^\s,{}[\]]+)/g)];
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.constantFrom(...values), (place, value) =>
        soundGateway(splice(ONE_TENANT, place.index + 2, place[1]!.length, value)),
      ),
      { numRuns: 200 },
    );
  });

  it('reads secrets only by the paths of the file', () => {
    const asked: string[] = [];
    gateway(FABRIKAM, (path) => {
      asked.push(path);
      return anySecret(path);
    });
    assert.deepEqual(
      asked,
      ['contoso-ny', 'woodgrove-ny', 'woodgrove-sfo'].map((n) => `/etc/hnv-gateway/secrets/${n}`),
    );
  });
});
