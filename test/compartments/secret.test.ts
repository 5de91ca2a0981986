/** A secret never prints (R-OPS-7). */
import assert from 'node:assert/strict';
import { format, inspect } from 'node:util';
import pino from 'pino';
import { secret } from '../../compartments/secret.ts';

describe('secret', () => {
  const text = 'correct horse battery';
  const s = secret(text);

  it('gives its text only to reveal()', () => {
    assert.equal(s.reveal(), text);
    assert.deepEqual(Object.keys(s), []);
    assert.deepEqual({ ...s }, {});
  });

  const prints: Record<string, () => string> = {
    'String()': () => String(s),
    'a template': () => `${s}`,
    'JSON.stringify': () => JSON.stringify({ tunnel: { sharedSecret: s } }),
    'util.inspect': () => inspect({ tunnel: { sharedSecret: s } }, { depth: 9, showHidden: true }),
    'util.format %s %o %j': () => format('%s %o %j', s, s, s),
    'an error message': () => inspect(new Error(`no ${s}`, { cause: s })),
    pino: () => {
      const lines: string[] = [];
      const sink = { write: (line: string) => void lines.push(line) };
      const log = pino({}, sink);
      log.info({ tunnel: { sharedSecret: s } }, 'loaded');
      log.error(s, 'bare %s', s);
      return lines.join('');
    },
  };
  for (const [how, print] of Object.entries(prints))
    it(`shows <secret> in ${how}`, () => {
      const shown = print();
      assert.ok(shown.includes('<secret>'), shown);
      assert.ok(!shown.includes('horse'), shown);
    });
});
