/**
 * One vici connection without its socket: bytes in, bytes and outcomes out. vici has no sequence numbers, so requests wait in
 * a queue and one is outstanding at a time; events may come between any request and its answer.
 */
import { err, ok, type Result } from '../../lib/result.ts';
import { type CodecError, decodePacket, encodePacket, MAX_SEGMENT, type Message, type Packet } from './codec.ts';

export type Job =
  | { readonly kind: 'command'; readonly command: string; readonly message: Message }
  /** A streaming command: what it says in `event` until its response is collected and given with the response. */
  | { readonly kind: 'stream'; readonly command: string; readonly event: string; readonly message: Message }
  | { readonly kind: 'register' | 'unregister'; readonly event: string };

export type Outcome =
  | { readonly kind: 'response'; readonly message: Message; readonly items: readonly Message[] }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'unknown-command'; readonly command: string }
  | { readonly kind: 'unknown-event'; readonly event: string };

export type SessionError =
  | { readonly kind: 'codec'; readonly error: CodecError }
  /** The peer sent what nobody asked for: the two sides no longer agree on whose turn it is. */
  | { readonly kind: 'unexpected'; readonly packet: Packet['type'] };

export interface Received {
  readonly write: readonly Uint8Array[];
  readonly finished: readonly { readonly id: number; readonly outcome: Outcome }[];
  readonly events: readonly { readonly name: string; readonly message: Message }[];
}

type Step = 'register' | 'command' | 'unregister';
interface Running {
  readonly id: number;
  readonly job: Job;
  step: Step;
  readonly items: Message[];
  outcome?: Outcome;
}

const firstStep = (job: Job): Step =>
  job.kind === 'command' ? 'command' : job.kind === 'unregister' ? 'unregister' : 'register';

export class ViciSession {
  readonly #queue: Running[] = [];
  #running: Running | undefined;
  #buffer: Buffer = Buffer.alloc(0);
  #lastId = 0;

  /** Queues a job. `write` is what must go out now (nothing while another job runs); an error refuses the job whole. */
  submit(job: Job): Result<{ readonly id: number; readonly write: readonly Uint8Array[] }, CodecError> {
    const packets: Packet[] = [];
    if ('event' in job) packets.push({ type: 'register', name: job.event });
    if ('command' in job) packets.push({ type: 'request', name: job.command, message: job.message });
    for (const p of packets) {
      const fits = encodePacket(p);
      if (!fits.ok) return fits;
    }
    const run: Running = { id: ++this.#lastId, job, step: firstStep(job), items: [] };
    this.#queue.push(run);
    const write: Uint8Array[] = [];
    this.#advance(write);
    return ok({ id: run.id, write });
  }

  /** Takes what the socket gave, in any pieces. After an error the connection is of no more use. */
  receive(bytes: Uint8Array): Result<Received, SessionError> {
    this.#buffer = this.#buffer.length ? Buffer.concat([this.#buffer, bytes]) : Buffer.from(bytes);
    const out = {
      write: [] as Uint8Array[],
      finished: [] as Received['finished'][0][],
      events: [] as Received['events'][0][],
    };
    while (this.#buffer.length >= 4) {
      const length = this.#buffer.readUInt32BE(0);
      if (length > MAX_SEGMENT) return err({ kind: 'codec', error: 'segment length' });
      if (this.#buffer.length < 4 + length) break;
      const packet = decodePacket(this.#buffer.subarray(4, 4 + length));
      this.#buffer = this.#buffer.subarray(4 + length);
      if (!packet.ok) return err({ kind: 'codec', error: packet.error });
      const wrong = this.#take(packet.value, out);
      if (wrong) return err(wrong);
    }
    return ok(out);
  }

  #take(
    p: Packet,
    out: { write: Uint8Array[]; finished: Received['finished'][0][]; events: Received['events'][0][] },
  ): SessionError | undefined {
    const run = this.#running;
    if (p.type === 'event') {
      if (run?.job.kind === 'stream' && run.job.event === p.name) run.items.push(p.message);
      else out.events.push({ name: p.name, message: p.message });
      return undefined;
    }
    const unexpected: SessionError = { kind: 'unexpected', packet: p.type };
    if (!run) return unexpected;
    const { job } = run;
    const waitsForConfirm = run.step !== 'command';
    if ((p.type === 'confirm' || p.type === 'unknown-event') !== waitsForConfirm) return unexpected;
    switch (p.type) {
      case 'confirm':
        if (job.kind === 'stream' && run.step === 'register') run.step = 'command';
        else run.outcome ??= { kind: 'confirmed' };
        break;
      case 'unknown-event':
        run.outcome ??= { kind: 'unknown-event', event: 'event' in job ? job.event : '' };
        break;
      case 'response':
      case 'unknown-command':
        run.outcome =
          p.type === 'response'
            ? { kind: 'response', message: p.message, items: run.items }
            : { kind: 'unknown-command', command: 'command' in job ? job.command : '' };
        if (job.kind === 'stream') {
          run.step = 'unregister';
          out.write.push(this.#encode(run));
          return undefined;
        }
        break;
      default:
        return unexpected;
    }
    if (run.outcome) {
      out.finished.push({ id: run.id, outcome: run.outcome });
      this.#running = undefined;
      this.#advance(out.write);
    } else out.write.push(this.#encode(run));
    return undefined;
  }

  #advance(write: Uint8Array[]): void {
    if (this.#running) return;
    this.#running = this.#queue.shift();
    if (this.#running) write.push(this.#encode(this.#running));
  }

  #encode(run: Running): Uint8Array {
    const { job, step } = run;
    const packet: Packet =
      step === 'command' && 'command' in job
        ? { type: 'request', name: job.command, message: job.message }
        : { type: step === 'unregister' ? 'unregister' : 'register', name: 'event' in job ? job.event : '' };
    const bytes = encodePacket(packet);
    if (!bytes.ok) throw new Error(`vici: ${bytes.error}`); // submit() has refused what cannot be encoded
    return segment(bytes.value);
  }
}

/** A packet with its length in front, as it goes over the socket. */
export function segment(packet: Uint8Array): Uint8Array {
  const out = Buffer.alloc(4 + packet.length);
  out.writeUInt32BE(packet.length, 0);
  out.set(packet, 4);
  return out;
}
