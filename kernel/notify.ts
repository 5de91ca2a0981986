/**
 * The service manager's notification protocol (sd_notify(3)): one datagram a message to the UNIX socket that $NOTIFY_SOCKET
 * names, a path or (with a leading `@`) an abstract name. Node has no datagram UNIX sockets, hence FFI.
 */
import { raw, SOCK_CLOEXEC, sys } from './sys.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SUN_PATH = 108;
const MSG_NOSIGNAL = 0x4000;

export interface ServiceEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
}

/** Without $NOTIFY_SOCKET every message is a no-op: the process was not started by a service manager. */
export class ServiceNotifier {
  readonly #address: Buffer | undefined;
  /** Half of what the service manager allows between two watchdog() calls, in ms; undefined when it does not watch. */
  readonly watchdogIntervalMs: number | undefined;

  constructor(environment: ServiceEnvironment) {
    this.#address = environment.NOTIFY_SOCKET ? socketAddress(environment.NOTIFY_SOCKET) : undefined;
    const microseconds = Number(environment.WATCHDOG_USEC);
    this.watchdogIntervalMs = microseconds > 0 ? microseconds / 2000 : undefined;
  }

  /** The start is complete. */
  ready(status?: string): void {
    this.#send(['READY=1', ...(status === undefined ? [] : [statusLine(status)])]);
  }
  watchdog(): void {
    this.#send(['WATCHDOG=1']);
  }
  /** One line for `systemctl status`. */
  status(text: string): void {
    this.#send([statusLine(text)]);
  }
  stopping(): void {
    this.#send(['STOPPING=1']);
  }

  #send(lines: readonly string[]): void {
    if (!this.#address) return;
    const fd = sys.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    try {
      sys.connect(fd, this.#address, this.#address.length);
      const bytes = Buffer.from(lines.join('\n'));
      sys.send(fd, bytes, bytes.length, MSG_NOSIGNAL);
    } finally {
      raw.close(fd);
    }
  }
}

const statusLine = (text: string): string => `STATUS=${text.replaceAll('\n', ' ')}`;

/** struct sockaddr_un; of an abstract name exactly its length counts. */
export function socketAddress(name: string): Buffer {
  const path = Buffer.from(name);
  if (path.length >= SUN_PATH) throw new RangeError(`NOTIFY_SOCKET is longer than ${SUN_PATH - 1} bytes`);
  const abstract = name.startsWith('@');
  if (abstract) path[0] = 0;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, path, Buffer.alloc(abstract ? 0 : 1)]);
}
