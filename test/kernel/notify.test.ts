/** Notifications of the service manager, received as it would: by a datagram socket. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ServiceNotifier, socketAddress } from '../../kernel/notify.ts';
import { raw, SOCK_CLOEXEC, sys } from '../../kernel/sys.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

/** Stands for systemd. A datagram is queued before send() returns, so there is nothing to wait for. */
class Receiver {
  readonly #fd = sys.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  constructor(name: string) {
    const address = socketAddress(name);
    sys.bind(this.#fd, address, address.length);
  }
  next(): string {
    const buffer = Buffer.alloc(4096);
    return buffer.toString('utf8', 0, sys.recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
  }
  close(): void {
    raw.close(this.#fd);
  }
}

describe('service notifications', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-notify-'));
  after(() => fs.rmSync(dir, { recursive: true }));

  for (const name of [path.join(dir, 'notify'), `@hnv-notify-${process.pid}`])
    it(`arrive at ${name.startsWith('@') ? 'an abstract name' : 'a path'}`, () => {
      const receiver = new Receiver(name);
      try {
        const notifier = new ServiceNotifier({ NOTIFY_SOCKET: name, WATCHDOG_USEC: '30000000' });
        assert.equal(notifier.watchdogIntervalMs, 15_000);
        notifier.ready('2 compartments');
        assert.equal(receiver.next(), 'READY=1\nSTATUS=2 compartments');
        notifier.watchdog();
        assert.equal(receiver.next(), 'WATCHDOG=1');
        notifier.status('a\nREADY=1');
        assert.equal(receiver.next(), 'STATUS=a READY=1');
        notifier.stopping();
        assert.equal(receiver.next(), 'STOPPING=1');
      } finally {
        receiver.close();
      }
    });

  it('say so when nobody listens', () => {
    const notifier = new ServiceNotifier({ NOTIFY_SOCKET: path.join(dir, 'nobody') });
    assert.throws(() => notifier.ready(), { code: 'ENOENT', syscall: 'connect' });
  });

  it('do nothing without a service manager', () => {
    const notifier = new ServiceNotifier({});
    assert.equal(notifier.watchdogIntervalMs, undefined);
    notifier.ready();
    notifier.stopping();
  });

  it('refuse a socket name that does not fit', () => {
    assert.throws(() => socketAddress(`/${'x'.repeat(107)}`), /longer than 107 bytes/);
  });
});
