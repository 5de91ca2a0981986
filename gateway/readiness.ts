/**
 * What the service manager is told (sd_notify(3)). READY comes when what can be carried out has been and the API answers,
 * whether or not all of it is there: the tenants that are served must not wait for the one that is not, and a unit that was
 * started again for that would find the same. What is missing stands in STATUS, which follows every look. Pure.
 */
import { type Status, statusLine } from './settled.ts';

export interface ReadinessOptions {
  readonly service: { ready(status: string): void; status(text: string): void };
  status(): Status;
  /** Called once, when all of a configuration is there for the first time. */
  settled(): void;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #without = '';
  #told: string | undefined;
  #settled = false;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** `without`: what to say as long as no configuration is in force. */
  ready(without: string): void {
    this.#without = without;
    this.#told = this.#line();
    this.#options.service.ready(this.#told);
  }

  /** The status may have changed. */
  changed(): void {
    if (!this.#settled && this.#options.status().settled) {
      this.#settled = true;
      this.#options.settled();
    }
    const line = this.#line();
    if (this.#told === undefined || line === this.#told) return;
    this.#told = line;
    this.#options.service.status(line);
  }

  #line(): string {
    const status = this.#options.status();
    return status.file === '' ? this.#without : statusLine(status);
  }
}
