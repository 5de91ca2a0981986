/** A vici server on a UNIX socket that does what a test says: answers, events at bad moments, silence, garbage, end. */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { decodePacket, encodePacket, type Message, type Packet } from '../../vpn/vici/codec.ts';
import { segment } from '../../vpn/vici/session.ts';

/** Answers one packet of a client; `send` may be called at any time, also later. */
export type Behaviour = (packet: Packet, send: (...packets: Packet[]) => void, socket: net.Socket) => void;

export class FakeCharon {
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-fake-'));
  readonly path = path.join(this.dir, 'vici');
  readonly received: Packet[] = [];
  readonly sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  #registered = new Map<string, (...p: Packet[]) => void>();

  constructor(behaviour: Behaviour) {
    this.#server = net.createServer((socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('error', () => undefined);
      let buffer = Buffer.alloc(0);
      const send = (...packets: Packet[]) => {
        for (const p of packets) {
          const b = encodePacket(p);
          if (!b.ok) throw new Error(b.error);
          socket.write(segment(b.value));
        }
      };
      socket.on('data', (d) => {
        buffer = Buffer.concat([buffer, d]);
        while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE(0)) {
          const end = 4 + buffer.readUInt32BE(0);
          const p = decodePacket(buffer.subarray(4, end));
          buffer = buffer.subarray(end);
          if (!p.ok) throw new Error(p.error);
          this.received.push(p.value);
          if (p.value.type === 'register') this.#registered.set(p.value.name, send);
          behaviour(p.value, send, socket);
        }
      });
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.path, resolve));
  }

  /** Sends an event to whoever registered for it last. */
  event(name: string, message: Message): void {
    this.#registered.get(name)?.({ type: 'event', name, message });
  }

  /** As a crash: every connection ends, the socket's file stays. */
  async crash(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const s of this.sockets) s.destroy();
    await closed;
    fs.writeFileSync(this.path, '');
  }

  async remove(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const s of this.sockets) s.destroy();
    await closed;
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Confirms registrations; commands go to `answer`. */
export const obedient =
  (answer: (command: string, message: Message) => Packet[] | undefined): Behaviour =>
  (p, send) => {
    if (p.type === 'register' || p.type === 'unregister') send({ type: 'confirm' });
    if (p.type === 'request') {
      const packets = answer(p.name, p.message);
      if (packets) send(...packets);
    }
  };
