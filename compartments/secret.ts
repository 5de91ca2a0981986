/**
 * Secret text (R-OPS-7). However it is printed – string conversion, JSON, util.inspect, pino – it shows `<secret>`; only
 * `reveal()` gives the text, and only the hands call it.
 */
import type { Secret } from './compartment.ts';

const SHOWN = '<secret>';

class HiddenText implements Secret {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  reveal(): string {
    return this.#text;
  }
  toString(): string {
    return SHOWN;
  }
  toJSON(): string {
    return SHOWN;
  }
  // The well-known symbol of node:util, by its registry name: this folder imports nothing of the system.
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return SHOWN;
  }
}

export const secret = (text: string): Secret => new HiddenText(text);
