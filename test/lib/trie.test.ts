import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Trie } from '../../lib/trie.ts';

describe('lib/trie', () => {
  it('is a map whose former values stay as they were', () => {
    // 'costarring' and 'liquid', 'declinate' and 'macallums' have the same FNV-1a hash.
    const key = fc.oneof(
      fc.constantFrom('costarring', 'liquid', 'declinate', 'macallums'),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.option(fc.integer(), { nil: undefined }))), (changes) => {
        const model = new Map<string, number>();
        let trie = Trie.empty<number>();
        const history: [Trie<number>, Map<string, number>][] = [];
        for (const [k, value] of changes) {
          history.push([trie, new Map(model)]);
          trie = trie.with(k, value);
          if (value === undefined) model.delete(k);
          else model.set(k, value);
        }
        history.push([trie, model]);
        for (const [t, m] of history) {
          assert.equal(t.size, m.size);
          assert.deepEqual(new Map(t.entries()), m);
          for (const k of m.keys()) assert.equal(t.get(k), m.get(k));
        }
        assert.equal(trie.get('never set'), undefined);
      }),
    );
  });

  it('keeps keys apart whose hashes are the same', () => {
    const trie = Trie.empty<number>().with('costarring', 1).with('liquid', 2);
    assert.deepEqual([trie.get('costarring'), trie.get('liquid'), trie.size], [1, 2, 2]);
    const rest = trie.with('costarring', undefined);
    assert.deepEqual([rest.get('costarring'), rest.get('liquid'), rest.size], [undefined, 2, 1]);
  });
});
