/** The example files and readers of secrets for the tests of this folder. */
import fs from 'node:fs';
import { type ConfigError, formatConfigError } from '../../config/error.ts';
import { loadHost } from '../../config/host.ts';
import { loadGateway } from '../../config/load.ts';
import { err, ok, type Result } from '../../lib/result.ts';

const examples = `${import.meta.dirname}/../../config/examples`;
export const FABRIKAM = fs.readFileSync(`${examples}/fabrikam.yaml`, 'utf8');
export const HOST1 = fs.readFileSync(`${examples}/host1.yaml`, 'utf8');

/** A key a file, as on a real gateway. */
export const anySecret = (path: string): Result<string, string> => ok(`the key of ${path}`);
export const noSecret = (): Result<string, string> => err('does not exist');

export const gateway = (text: string, readSecret = anySecret) => loadGateway('gw.yaml', text, readSecret);
export const host = (text: string) => loadHost('host.yaml', text);

export const errorsOf = <T>(r: Result<T, readonly ConfigError[]>): readonly ConfigError[] => (r.ok ? [] : r.error);
export const shown = <T>(r: Result<T, readonly ConfigError[]>): readonly string[] => errorsOf(r).map(formatConfigError);

/** The text with one occurrence of `from` replaced; the last one, unless told otherwise. */
export function change(text: string, from: string, to: string, which: 'first' | 'last' = 'last'): string {
  const at = which === 'first' ? text.indexOf(from) : text.lastIndexOf(from);
  if (at < 0) throw new Error(`${JSON.stringify(from)} is not in the text`);
  return text.slice(0, at) + to + text.slice(at + from.length);
}

/** A file with something wrong and the messages it gives, without the file name. */
export interface Case {
  readonly what: string;
  readonly text: string;
  readonly errors: readonly string[];
}

export const SFO_SECRET = '{ File: /etc/hnv-gateway/secrets/woodgrove-sfo }';
/** The gateway's example with the last (or first) occurrence of a text replaced. */
export const brokenGateway = (from: string, to: string, which?: 'first' | 'last') => change(FABRIKAM, from, to, which);
