/**
 * The bytes of vici, strongSwan's control protocol: messages and packets (strongSwan `src/libcharon/plugins/vici/README.md`).
 * Pure and total: decoding checks every bound and returns a Result, encoding refuses what does not fit.
 * Deviation: the README leaves open whether a name may repeat inside a section; here the second one is an error, so that
 * nothing that charon says is lost unnoticed.
 */
import { err, ok, type Result } from '../../lib/result.ts';

/** Text, or bytes that are not UTF-8 (DER). Encoding takes both; decoding gives text wherever the bytes are valid UTF-8. */
export type Value = string | Uint8Array;
/** A section: names to values, lists of values, or sections, in the order of the wire. */
export type Message = ReadonlyMap<string, Element>;
export type Element = Value | readonly Value[] | Message;

export type Packet =
  | { readonly type: 'request'; readonly name: string; readonly message: Message }
  | { readonly type: 'response'; readonly message: Message }
  | { readonly type: 'unknown-command' }
  | { readonly type: 'register'; readonly name: string }
  | { readonly type: 'unregister'; readonly name: string }
  | { readonly type: 'confirm' }
  | { readonly type: 'unknown-event' }
  | { readonly type: 'event'; readonly name: string; readonly message: Message };

export type CodecError =
  | 'truncated'
  | 'packet type'
  | 'element type'
  | 'nesting'
  | 'duplicate name'
  | 'name encoding'
  | 'name length'
  | 'value length'
  | 'segment length'
  | 'trailing bytes';

/** The largest packet either side accepts (vici_socket.h), without the four bytes of the length. */
export const MAX_SEGMENT = 512 * 1024;
/** charon's own messages are at most five deep; a limit keeps recursion over a decoded message safe. */
export const MAX_DEPTH = 32;

const SECTION_START = 1;
const SECTION_END = 2;
const KEY_VALUE = 3;
const LIST_START = 4;
const LIST_ITEM = 5;
const LIST_END = 6;

/** Packet types by number; `named` carry a name, `full` carry a message. */
const PACKETS = [
  'request',
  'response',
  'unknown-command',
  'register',
  'unregister',
  'confirm',
  'unknown-event',
  'event',
];
const NAMED = new Set(['request', 'register', 'unregister', 'event']);
const FULL = new Set(['request', 'response', 'event']);

export type Plain = { readonly [name: string]: Value | readonly Value[] | Plain | Message };

/** A message from an object literal; names that look like integers belong in a Map, since an object would reorder them. */
export function message(plain: Plain = {}): Message {
  const out = new Map<string, Element>();
  for (const [name, v] of Object.entries(plain)) out.set(name, isPlain(v) ? message(v) : v);
  return out;
}
const isPlain = (v: Value | readonly Value[] | Plain | Message): v is Plain =>
  typeof v === 'object' && !Array.isArray(v) && !(v instanceof Map) && !(v instanceof Uint8Array);

export const isSection = (e: Element | undefined): e is Message => e instanceof Map;
/** The text under a name; undefined when it is absent, binary, a list or a section. */
export function textOf(m: Message, name: string): string | undefined {
  const e = m.get(name);
  return typeof e === 'string' ? e : undefined;
}
/** The texts of a list; empty when it is absent. */
export function listOf(m: Message, name: string): readonly string[] {
  const e = m.get(name);
  return Array.isArray(e) ? e.filter((v) => typeof v === 'string') : [];
}
/** The sections below a message (below `name` where given), with their names. */
export function sectionsOf(m: Message, name?: string): readonly (readonly [string, Message])[] {
  const at = name === undefined ? m : m.get(name);
  return isSection(at) ? [...at].flatMap(([n, e]) => (isSection(e) ? [[n, e] as const] : [])) : [];
}

export function encodePacket(p: Packet): Result<Uint8Array, CodecError> {
  const w = new Writer();
  w.byte(PACKETS.indexOf(p.type));
  if ('name' in p) w.name(p.name);
  if ('message' in p) writeMessage(w, p.message, 0);
  return w.finish();
}

/** One message on its own: the canonical form of a configuration. */
export function encodeMessage(m: Message): Result<Uint8Array, CodecError> {
  const w = new Writer();
  writeMessage(w, m, 0);
  return w.finish();
}

function writeMessage(w: Writer, m: Message, depth: number): void {
  if (depth > MAX_DEPTH) {
    w.fail('nesting');
    return;
  }
  for (const [name, e] of m) {
    if (isSection(e)) {
      w.byte(SECTION_START);
      w.name(name);
      writeMessage(w, e, depth + 1);
      w.byte(SECTION_END);
    } else if (Array.isArray(e)) {
      w.byte(LIST_START);
      w.name(name);
      for (const item of e) {
        w.byte(LIST_ITEM);
        w.value(item);
      }
      w.byte(LIST_END);
    } else {
      w.byte(KEY_VALUE);
      w.name(name);
      w.value(e as Value);
    }
  }
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  #error: CodecError | undefined;

  fail(error: CodecError): void {
    this.#error ??= error;
  }
  byte(n: number): void {
    this.#parts.push(Uint8Array.of(n));
  }
  name(text: string): void {
    const b = Buffer.from(text, 'utf8');
    if (b.length > 0xff) this.fail('name length');
    if (!text.isWellFormed()) this.fail('name encoding');
    this.#parts.push(Uint8Array.of(b.length & 0xff), b);
  }
  value(v: Value): void {
    const b = typeof v === 'string' ? Buffer.from(v, 'utf8') : v;
    if (b.length > 0xffff) this.fail('value length');
    this.#parts.push(Uint8Array.of((b.length >> 8) & 0xff, b.length & 0xff), b);
  }
  finish(): Result<Uint8Array, CodecError> {
    if (this.#error) return err(this.#error);
    const all = Buffer.concat(this.#parts);
    return all.length > MAX_SEGMENT ? err('segment length') : ok(all);
  }
}

/** `bytes` = one segment without its length. */
export function decodePacket(bytes: Uint8Array): Result<Packet, CodecError> {
  if (bytes.length > MAX_SEGMENT) return err('segment length');
  const r = new Reader(bytes);
  const type = r.byte();
  if (!type.ok) return type;
  const kind = PACKETS[type.value];
  if (kind === undefined) return err('packet type');
  let name = '';
  if (NAMED.has(kind)) {
    const n = r.name();
    if (!n.ok) return n;
    name = n.value;
  }
  if (!FULL.has(kind))
    return r.done ? ok({ type: kind, ...(NAMED.has(kind) && { name }) } as Packet) : err('trailing bytes');
  const m = readMessage(r);
  return m.ok ? ok({ type: kind, ...(NAMED.has(kind) && { name }), message: m.value } as Packet) : m;
}

/** All remaining bytes as one message. */
export function decodeMessage(bytes: Uint8Array): Result<Message, CodecError> {
  return readMessage(new Reader(bytes));
}

function readMessage(r: Reader): Result<Message, CodecError> {
  const root = new Map<string, Element>();
  const stack: Map<string, Element>[] = [root];
  let list: Value[] | undefined;
  while (!r.done) {
    const type = r.byte();
    if (!type.ok) return type;
    const section = stack[stack.length - 1]!;
    if (list) {
      if (type.value === LIST_END) list = undefined;
      else if (type.value === LIST_ITEM) {
        const v = r.value();
        if (!v.ok) return v;
        list.push(v.value);
      } else return err('nesting');
      continue;
    }
    if (type.value === SECTION_END) {
      if (stack.length === 1) return err('nesting');
      stack.pop();
      continue;
    }
    if (type.value !== SECTION_START && type.value !== KEY_VALUE && type.value !== LIST_START)
      return err(type.value === LIST_ITEM || type.value === LIST_END ? 'nesting' : 'element type');
    const name = r.name();
    if (!name.ok) return name;
    if (section.has(name.value)) return err('duplicate name');
    if (type.value === KEY_VALUE) {
      const v = r.value();
      if (!v.ok) return v;
      section.set(name.value, v.value);
    } else if (type.value === LIST_START) {
      list = [];
      section.set(name.value, list);
    } else {
      if (stack.length > MAX_DEPTH) return err('nesting');
      const inner = new Map<string, Element>();
      section.set(name.value, inner);
      stack.push(inner);
    }
  }
  return list || stack.length > 1 ? err('truncated') : ok(root);
}

// Without ignoreBOM a leading byte-order mark would be swallowed and the value would not come back as it was sent.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const asText = (b: Uint8Array): string | undefined => {
  try {
    return utf8.decode(b);
  } catch {
    return undefined;
  }
};

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }
  byte(): Result<number, CodecError> {
    const b = this.#bytes[this.#at];
    if (b === undefined) return err('truncated');
    this.#at++;
    return ok(b);
  }
  #take(length: number): Result<Uint8Array, CodecError> {
    if (this.#at + length > this.#bytes.length) return err('truncated');
    this.#at += length;
    return ok(this.#bytes.subarray(this.#at - length, this.#at));
  }
  name(): Result<string, CodecError> {
    const length = this.byte();
    if (!length.ok) return length;
    const b = this.#take(length.value);
    if (!b.ok) return b;
    const text = asText(b.value);
    return text === undefined ? err('name encoding') : ok(text);
  }
  value(): Result<Value, CodecError> {
    const length = this.#take(2);
    if (!length.ok) return length;
    const b = this.#take((length.value[0]! << 8) | length.value[1]!);
    // A copy: the segment belongs to the receive buffer, which is used again.
    return b.ok ? ok(asText(b.value) ?? Uint8Array.from(b.value)) : b;
  }
}
