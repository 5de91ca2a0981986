/**
 * Netlink messages and attributes as bytes (RFC 3549; linux/netlink.h). Pure: no socket. Fields are in host order; every machine
 * this runs on (x86-64, arm64) is little-endian.
 */
import { err, ok, type Result } from '../../lib/result.ts';

/** A number is an u32, a string ends in NUL, bytes go as they are, a list is nested. */
export type AttributeValue = number | string | Uint8Array | readonly Attribute[];
export type Attribute = readonly [type: number, value: AttributeValue];
export type Attributes = ReadonlyMap<number, Buffer>;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket whose request it answers or tells of; 0 = the kernel by itself. */
  readonly sender: number;
  readonly payload: Buffer;
}

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F = {
  REQUEST: 1,
  ACK: 4,
  DUMP_INTR: 0x10,
  REPLACE: 0x100,
  EXCL: 0x200,
  DUMP: 0x300,
  CREATE: 0x400,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

const HEADER = 16;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

const aligned = (n: number): number => (n + 3) & ~3;

export const u8 = (n: number): Uint8Array => Uint8Array.of(n);
export function u16(n: number): Uint8Array {
  const b = Buffer.alloc(2);
  b.writeUInt16LE(n);
  return b;
}
export function u32(n: number): Uint8Array {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n >>> 0);
  return b;
}

function valueBytes(value: AttributeValue): Uint8Array {
  if (typeof value === 'number') return u32(value);
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  return value instanceof Uint8Array ? value : encodeAttributes(value);
}

/** A sequence of attributes, each padded to four bytes. */
export function encodeAttributes(list: readonly Attribute[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [type, value] of list) {
    const bytes = valueBytes(value);
    const nested = typeof value === 'object' && !(value instanceof Uint8Array);
    const head = Buffer.alloc(4);
    head.writeUInt16LE(4 + bytes.length);
    head.writeUInt16LE(type | (nested ? NESTED : 0), 2);
    parts.push(head, bytes, Buffer.alloc(aligned(bytes.length) - bytes.length));
  }
  return Buffer.concat(parts);
}

/**
 * Several requests that go to the kernel in one datagram. The kernel runs them in order and does NOT stop at one that fails.
 */
export class Batch {
  readonly #messages: Buffer[] = [];

  get length(): number {
    return this.#messages.length;
  }

  add(type: number, flags: number, header: Uint8Array, attributes: readonly Attribute[] = []): this {
    const body = Buffer.concat([
      header,
      Buffer.alloc(aligned(header.length) - header.length),
      encodeAttributes(attributes),
    ]);
    const message = Buffer.alloc(HEADER + body.length);
    message.writeUInt32LE(message.length);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(flags | NLM_F.REQUEST, 6);
    body.copy(message, HEADER);
    this.#messages.push(message);
    return this;
  }

  /** The datagram, numbered from `sequence` on. Only the last message asks for an ACK (failures are reported anyway). */
  encode(sequence: number, acknowledge = true): Buffer {
    this.#messages.forEach((message, i) => {
      message.writeUInt32LE((sequence + i) >>> 0, 8);
      if (acknowledge && i === this.#messages.length - 1) message.writeUInt16LE(message.readUInt16LE(6) | NLM_F.ACK, 6);
    });
    return Buffer.concat(this.#messages);
  }
}

/** Splits a datagram into its messages; payloads are views into it. */
export function parseMessages(datagram: Buffer): Result<Message[], string> {
  const messages: Message[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (at + HEADER > datagram.length) return err('netlink: truncated message header');
    const length = datagram.readUInt32LE(at);
    if (length < HEADER || at + length > datagram.length) return err('netlink: message longer than its datagram');
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      sender: datagram.readUInt32LE(at + 12),
      payload: datagram.subarray(at + HEADER, at + length),
    });
    at += aligned(length);
  }
  return ok(messages);
}

/** The last of several attributes of one type wins, as in the kernel. Values are views into `bytes`. */
export function parseAttributes(bytes: Buffer): Result<Attributes, string> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return err('netlink: truncated attribute header');
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return err('netlink: attribute longer than its message');
    attributes.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return ok(attributes);
}

/** A fixed header of `size` bytes and the attributes behind it. */
export function parseBody(payload: Buffer, size: number): Result<{ header: Buffer; attributes: Attributes }, string> {
  if (payload.length < size) return err('netlink: truncated header');
  const attributes = parseAttributes(payload.subarray(aligned(size)));
  return attributes.ok ? ok({ header: payload.subarray(0, size), attributes: attributes.value }) : attributes;
}

/** Nested attributes; none when the attribute is absent or malformed. */
export function nested(attributes: Attributes, type: number): Attributes {
  const bytes = attributes.get(type);
  const inner = bytes && parseAttributes(bytes);
  return inner?.ok ? inner.value : new Map();
}

export function readU8(attributes: Attributes, type: number): number | undefined {
  return attributes.get(type)?.[0];
}
export function readU32(attributes: Attributes, type: number): number | undefined {
  const b = attributes.get(type);
  return b && b.length >= 4 ? b.readUInt32LE() : undefined;
}
export function readString(attributes: Attributes, type: number): string | undefined {
  const b = attributes.get(type);
  if (!b) return undefined;
  const end = b.indexOf(0);
  return b.toString('utf8', 0, end < 0 ? b.length : end);
}

/** What NLMSG_ERROR carries: errno (0 = ACK) and the kernel's own text (NETLINK_EXT_ACK), '' when it gives none. */
export function parseError(message: Message): Result<{ errno: number; text: string }, string> {
  const { payload, flags } = message;
  if (payload.length < 4) return err('netlink: truncated error');
  const errno = -payload.readInt32LE();
  if (!(flags & NLM_F.ACK_TLVS) || payload.length < 4 + HEADER) return ok({ errno, text: '' });
  const echoed = flags & NLM_F.CAPPED ? HEADER : aligned(payload.readUInt32LE(4));
  const attributes = parseAttributes(payload.subarray(Math.min(payload.length, 4 + echoed)));
  return ok({ errno, text: attributes.ok ? (readString(attributes.value, NLMSGERR_ATTR_MSG) ?? '') : '' });
}

/** What NLMSG_DONE carries: 0, or the errno that ended a dump early. */
export const parseDone = (message: Message): number =>
  message.payload.length >= 4 ? Math.max(0, -message.payload.readInt32LE()) : 0;
