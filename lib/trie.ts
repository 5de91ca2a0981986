/**
 * An immutable map with text keys: a change gives a new map that shares all but one path with the former one, so a change among
 * many thousand entries costs the same as among few (a hash array mapped trie of 32 branches, Bagwell 2001).
 */

interface Leaf<V> {
  readonly hash: number;
  /** More than one only where hashes collide. */
  readonly entries: readonly (readonly [string, V])[];
}
type Branch<V> = readonly (Node<V> | undefined)[];
type Node<V> = Leaf<V> | Branch<V>;

const BITS = 5;
const WIDTH = 1 << BITS;

/** FNV-1a over UTF-16 units. */
function hashOf(key: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

const isBranch = <V>(node: Node<V>): node is Branch<V> => Array.isArray(node);
const branchAt = (hash: number, depth: number): number => (hash >>> (depth * BITS)) & (WIDTH - 1);

function put<V>(node: Node<V> | undefined, depth: number, hash: number, entry: readonly [string, V]): Node<V> {
  if (!node) return { hash, entries: [entry] };
  if (isBranch(node)) {
    const at = branchAt(hash, depth);
    return node.with(at, put(node[at], depth + 1, hash, entry));
  }
  if (node.hash === hash) return { hash, entries: [...node.entries.filter(([k]) => k !== entry[0]), entry] };
  const empty: (Node<V> | undefined)[] = new Array(WIDTH).fill(undefined);
  return put(empty.with(branchAt(node.hash, depth), node), depth, hash, entry);
}

function without<V>(node: Node<V> | undefined, depth: number, hash: number, key: string): Node<V> | undefined {
  if (!node) return undefined;
  if (isBranch(node)) {
    const at = branchAt(hash, depth);
    const next = node.with(at, without(node[at], depth + 1, hash, key));
    return next.some((n) => n !== undefined) ? next : undefined;
  }
  const entries = node.entries.filter(([k]) => k !== key);
  return entries.length ? { hash: node.hash, entries } : undefined;
}

function* walk<V>(node: Node<V> | undefined): Generator<readonly [string, V]> {
  if (!node) return;
  if (isBranch(node)) for (const child of node) yield* walk(child);
  else yield* node.entries;
}

export class Trie<V> {
  readonly #root: Node<V> | undefined;
  readonly size: number;

  private constructor(root: Node<V> | undefined, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<V>(): Trie<V> {
    return new Trie<V>(undefined, 0);
  }

  get(key: string): V | undefined {
    const hash = hashOf(key);
    let node = this.#root;
    for (let depth = 0; node && isBranch(node); depth++) node = node[branchAt(hash, depth)];
    if (node) for (const entry of node.entries) if (entry[0] === key) return entry[1];
    return undefined;
  }

  /** `undefined` takes the key away. */
  with(key: string, value: V | undefined): Trie<V> {
    const there = this.get(key) !== undefined;
    const hash = hashOf(key);
    if (value === undefined) return there ? new Trie(without(this.#root, 0, hash, key), this.size - 1) : this;
    return new Trie(put(this.#root, 0, hash, [key, value]), there ? this.size : this.size + 1);
  }

  /** In an order that depends on the keys alone. */
  entries(): Iterable<readonly [string, V]> {
    return walk(this.#root);
  }
}
