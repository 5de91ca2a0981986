/** What the gateway answers when it refuses, in the operator's words. */
import { type ConfigError, formatConfigError } from '../../config/error.ts';
import { explainFailures } from '../../control/refusal.ts';
import type { Refusal } from '../gateway.ts';

export function explainRefusal(body: unknown): string {
  const refusal = body as Partial<Refusal> & { readonly message?: string };
  switch (refusal.code) {
    case 'CONFIG':
      return ((refusal as { errors: readonly ConfigError[] }).errors ?? []).map(formatConfigError).join('\n');
    case 'FAILED':
      return explainFailures((refusal as Extract<Refusal, { code: 'FAILED' }>).failures ?? []);
    default:
      return refusal.message ?? 'the gateway refused without a reason';
  }
}
