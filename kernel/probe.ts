/**
 * One TCP connection out of a network namespace, non-blocking: what a health probe needs (tcp(7), connect(2)). The socket belongs
 * to the namespace in which it is made, wherever it is used afterwards.
 */
import { type Address, addressBytes } from '../lib/address.ts';
import { FdWatcher } from './fdwatch.ts';
import { errnoName, int, lastErrno, raw, SOCK_CLOEXEC, SysError, sys } from './sys.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_LINGER = 13;
const MSG_NOSIGNAL = 0x4000;

/** Runs work inside a namespace. */
export type Visit = <T>(work: () => T) => T;

export interface Exchange {
  readonly address: Address; // IPv4
  readonly port: number;
  /** Sent once the connection stands; absent = only the connection is wanted. */
  readonly request?: Uint8Array;
  /** What came so far; undefined = more is needed. */
  readonly judge?: (received: Uint8Array) => boolean | undefined;
}

function socketAddress({ address, port }: Exchange): Buffer {
  const b = Buffer.alloc(16);
  b.writeUInt16LE(AF_INET);
  b.writeUInt16BE(port, 2);
  b.set(addressBytes(address), 4);
  return b;
}

/** False when it failed at once. */
function connect(fd: number, exchange: Exchange): boolean {
  const address = socketAddress(exchange);
  return raw.connect(fd, address, address.length) === 0 || errnoName(lastErrno()) === 'EINPROGRESS';
}

function errorOf(fd: number): number {
  const value = Buffer.alloc(4);
  sys.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, [4]);
  return value.readInt32LE();
}

/**
 * Resolves with what the other end proved: that it takes the connection and, where a judge is given, what it answers. False
 * after `milliseconds`. Rejects only when no socket can be made, ENOENT when there is no such namespace.
 */
export function probe(visit: Visit, exchange: Exchange, milliseconds: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let fd: number;
    let started: boolean;
    try {
      fd = visit(() => sys.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      // A reset in place of FIN: probes leave no TIME_WAIT behind, neither here nor in the NAT of somebody.
      sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, Buffer.concat([int(1), int(0)]), 8);
      started = connect(fd, exchange);
    } catch (e) {
      reject(e instanceof SysError ? e : new Error(String(e)));
      return;
    }
    let watcher: FdWatcher | undefined;
    const end = (healthy: boolean) => {
      clearTimeout(timer);
      if (watcher) watcher.close();
      else raw.close(fd);
      resolve(healthy);
    };
    const timer = setTimeout(() => end(false), milliseconds);
    if (!started) {
      end(false);
      return;
    }
    const received: Buffer[] = [];
    const buffer = Buffer.alloc(1024);
    const read = () => {
      const length = raw.recv(fd, buffer, buffer.length, 0);
      if (length < 0) {
        if (errnoName(lastErrno()) !== 'EAGAIN') end(false);
        return;
      }
      received.push(Buffer.from(buffer.subarray(0, length)));
      const verdict = exchange.judge!(Buffer.concat(received));
      if (verdict !== undefined || length === 0) end(verdict ?? false);
    };
    watcher = new FdWatcher(
      fd,
      () => {
        if (errorOf(fd) !== 0) {
          end(false);
          return;
        }
        const { request, judge } = exchange;
        if (!request || !judge) {
          end(true);
          return;
        }
        if (raw.send(fd, request, request.length, MSG_NOSIGNAL) !== request.length) {
          end(false);
          return;
        }
        // The same descriptor, from now on for reading.
        watcher?.release();
        watcher = new FdWatcher(fd, read);
      },
      true,
      'out',
    );
  });
}
