/** Shared secrets: read where they stand in a file, refused when empty or weak (R-OPS-7: messages never hold them). */
import type { Secret } from '../../compartments/compartment.ts';
import { secret } from '../../compartments/secret.ts';
import type { Result } from '../../lib/result.ts';
import type { Problem } from '../error.ts';
import type { Partly } from '../read.ts';
import { quoted } from '../schema/field.ts';
import type { GatewayFile } from '../schema/roots.ts';
import { MIN_SECRET } from '../schema/s2s.ts';
import { tunnels } from './s2s.ts';

export type ReadSecret = (path: string) => Result<string, string>;

export interface Secrets {
  /** By the tunnel's object in what was read. */
  readonly secretOf: ReadonlyMap<object, Secret>;
  readonly problems: readonly Problem[];
}

const CURE = `choose at least ${MIN_SECRET} characters; 32 random ones are good`;

export function readSecrets(doc: Partly<GatewayFile>, readSecret: ReadSecret): Secrets {
  const secretOf = new Map<object, Secret>();
  const problems: Problem[] = [];
  for (const [tunnel, p] of tunnels(doc)) {
    const given = tunnel.SharedSecret;
    if (given === undefined) continue;
    const path = [...p, 'SharedSecret'];
    if (typeof given === 'string') {
      const problem = weakness(given);
      if (problem) problems.push({ code: 'WEAK_SECRET', path, problem, cure: CURE });
      else secretOf.set(tunnel, secret(given));
    } else if (given.File !== undefined) {
      const at = [...path, 'File'];
      const read = readSecret(given.File);
      const text = read.ok ? read.value.replace(/\r?\n$/, '') : '';
      const problem = read.ok && weakness(text);
      if (!read.ok)
        problems.push({
          code: 'SECRET_UNREADABLE',
          path: at,
          problem: `the secret ${quoted(given.File)} cannot be read: ${read.error}`,
          cure: 'put the file in place and let the gateway read it',
        });
      else if (problem)
        problems.push({ code: 'WEAK_SECRET', path: at, problem: `in ${quoted(given.File)} ${problem}`, cure: CURE });
      else secretOf.set(tunnel, secret(text));
    }
  }
  return { secretOf, problems };
}

function weakness(text: string): string | undefined {
  if (text === '') return 'the secret is empty';
  // The peer's configuration can hardly hold these, so they are a mistake of an editor.
  if (/[\0\r\n]/.test(text)) return 'the secret holds a line break or zero byte';
  if (text.length < MIN_SECRET) return `the secret is shorter than ${MIN_SECRET} characters`;
  return undefined;
}
