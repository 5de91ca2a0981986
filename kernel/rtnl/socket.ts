/**
 * A NETLINK_ROUTE socket in one namespace. Synchronous on purpose: the kernel has run a request when sendto() returns, so there
 * is nothing to wait for.
 */
import { err, ok, type Result } from '../../lib/result.ts';
import { inNetns } from '../netns.ts';
import { errnoName, int, lastErrno, raw, SOCK_CLOEXEC, SysError, sys } from '../sys.ts';
import {
  type Attribute,
  Batch,
  type Message,
  NLM_F,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseDone,
  parseError,
  parseMessages,
} from './message.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const MSG_TRUNC = 0x20;
const REPLY_SECONDS = 5;
const DUMP_ATTEMPTS = 5;

/** The kernel refused a request. `code` is the errno's name; the message carries the kernel's own text when it gives one. */
export class NetlinkError extends Error {
  readonly code: string;
  /** Which message of the batch. */
  readonly index: number;
  constructor(errno: number, text: string, index = 0) {
    super(`${errnoName(errno)}${text && `: ${text}`}`);
    this.code = errnoName(errno);
    this.index = index;
  }
}

export const isNetlinkError = (e: unknown, ...codes: string[]): e is NetlinkError =>
  e instanceof NetlinkError && codes.includes(e.code);

const buffer = Buffer.alloc(1 << 17);

const unwrap = <T>(result: Result<T, string>): T => {
  if (!result.ok) throw new Error(result.error);
  return result.value;
};

export class Netlink {
  readonly #fd: number;
  #sequence = 1;
  #port: number | undefined;

  /** In the namespace of the descriptor, or where the process lives. The socket stays there and keeps the namespace alive. */
  constructor(netnsFd?: number) {
    const open = () => sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    this.#fd = netnsFd === undefined ? open() : inNetns(netnsFd, open);
    const self = Buffer.alloc(12);
    self.writeUInt16LE(AF_NETLINK);
    sys.bind(this.#fd, self, self.length);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
      sys.setsockopt(this.#fd, SOL_NETLINK, option, int(1), 4);
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(REPLY_SECONDS));
    sys.setsockopt(this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
  }

  close(): void {
    raw.close(this.#fd);
  }

  /** What the kernel calls this socket when it tells others of its changes; known with the first answer. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Runs the batch and returns what failed. Not atomic: the messages after a failed one ran too. */
  attempt(batch: Batch): NetlinkError[] {
    if (batch.length === 0) return [];
    const first = this.#send(batch, true);
    const last = first + batch.length - 1;
    const errors: NetlinkError[] = [];
    for (;;)
      for (const message of this.#receive(first)) {
        if (message.type !== NLMSG_ERROR) continue;
        const { errno, text } = unwrap(parseError(message));
        if (errno) errors.push(new NetlinkError(errno, text, message.sequence - first));
        if (message.sequence === last) return errors;
      }
  }

  /** Runs the batch and throws the first failure. */
  run(batch: Batch): void {
    const [error] = this.attempt(batch);
    if (error) throw error;
  }

  /** One object; throws NetlinkError (ENODEV and its like) when there is none. */
  get<T>(
    type: number,
    request: { readonly header: Uint8Array; readonly attributes?: readonly Attribute[] },
    parse: (payload: Buffer) => Result<T, string>,
  ): T {
    const sequence = this.#send(new Batch().add(type, 0, request.header, request.attributes), false);
    for (;;)
      for (const message of this.#receive(sequence)) {
        if (message.type !== NLMSG_ERROR) return unwrap(parse(message.payload));
        const { errno, text } = unwrap(parseError(message));
        throw new NetlinkError(errno, text);
      }
  }

  /** All objects; asked again when the kernel says that the list changed meanwhile (NLM_F_DUMP_INTR). */
  dump<T>(
    type: number,
    request: { readonly header: Uint8Array; readonly attributes?: readonly Attribute[] },
    parse: (payload: Buffer) => Result<T, string>,
  ): T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const list = this.#dumpOnce(type, request, parse);
      if (list.ok) return list.value;
    }
    throw new Error('netlink: the list kept changing while it was read');
  }

  #dumpOnce<T>(
    type: number,
    request: { readonly header: Uint8Array; readonly attributes?: readonly Attribute[] },
    parse: (payload: Buffer) => Result<T, string>,
  ): Result<T[], 'interrupted'> {
    const sequence = this.#send(new Batch().add(type, NLM_F.DUMP, request.header, request.attributes), false);
    const list: T[] = [];
    let interrupted = false;
    for (;;)
      for (const message of this.#receive(sequence)) {
        interrupted ||= (message.flags & NLM_F.DUMP_INTR) !== 0;
        if (message.type === NLMSG_ERROR) {
          const { errno, text } = unwrap(parseError(message));
          throw new NetlinkError(errno, text);
        }
        if (message.type === NLMSG_DONE) {
          const errno = parseDone(message);
          if (errno) throw new NetlinkError(errno, '');
          return interrupted ? err('interrupted') : ok(list);
        }
        list.push(unwrap(parse(message.payload)));
      }
  }

  #send(batch: Batch, acknowledge: boolean): number {
    if (this.#sequence + batch.length > 0xffffffff) this.#sequence = 1;
    const first = this.#sequence;
    this.#sequence += batch.length;
    const bytes = batch.encode(first, acknowledge);
    sys.send(this.#fd, bytes, bytes.length, 0);
    return first;
  }

  /** The answers to requests from `first` on; older ones belong to a request that was given up. */
  #receive(first: number): Message[] {
    const length = raw.recv(this.#fd, buffer, buffer.length, MSG_TRUNC);
    if (length < 0) throw new SysError('recv', lastErrno(), 'netlink');
    if (length > buffer.length) throw new Error(`netlink: an answer of ${length} bytes does not fit`);
    const messages = unwrap(parseMessages(buffer.subarray(0, length)));
    this.#port ??= messages[0]?.sender;
    return messages.filter((m) => m.sequence >= first);
  }
}
