/**
 * Devices as they come and go, so that a VM's device has its program at once. Only a device under a name of the configuration
 * wakes, and once: a VM that plays with the carrier of its NIC keeps nobody busy.
 */
import type { Logger } from 'pino';
import { type EventWatch, type KernelEvent, watchKernel } from '../kernel/events.ts';

export class DeviceWatch {
  readonly #concerns: (device: string) => boolean;
  readonly #changed: () => void;
  readonly #log: Logger;
  readonly #devices = new Map<number, string>(); // by index, as last told
  #watch: EventWatch | undefined;

  constructor(concerns: (device: string) => boolean, changed: () => void, log: Logger) {
    this.#concerns = concerns;
    this.#changed = changed;
    this.#log = log;
  }

  /** Begins to watch, also again after a failure; without it the agent has only its regular look. */
  begin(): void {
    if (this.#watch) return;
    try {
      this.#watch = watchKernel(
        undefined,
        (event) => this.#notice(event),
        (error) => this.#failed(error),
      );
    } catch (e) {
      this.#failed(e);
    }
  }

  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  #failed(error: unknown): void {
    this.#watch = undefined;
    this.#log.warn({ err: error }, 'link events cannot be read, new devices are found by looking');
  }

  #notice(event: KernelEvent): void {
    if (event.type === 'address' || event.type === 'route') return;
    if (event.type === 'lost') {
      this.#devices.clear();
      this.#changed();
      return;
    }
    const former = this.#devices.get(event.index);
    if (event.type === 'link-gone') this.#devices.delete(event.index);
    else if (former === event.device) return;
    else this.#devices.set(event.index, event.device);
    if (this.#concerns(event.device)) this.#changed();
  }
}
