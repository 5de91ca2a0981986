/** What the gateway answers when it refuses, in the operator's words. */
import { type ConfigError, formatConfigError } from '../../config/error.ts';
import type { Refusal } from '../gateway.ts';

export function explainRefusal(body: unknown): string {
  const refusal = body as Partial<Refusal> & { readonly message?: string };
  switch (refusal.code) {
    case 'CONFIG':
      return ((refusal as { errors: readonly ConfigError[] }).errors ?? []).map(formatConfigError).join('\n');
    case 'FAILED': {
      const failed = refusal as Extract<Refusal, { code: 'FAILED' }>;
      return [
        failed.restored
          ? 'part of it failed; the former configuration is in force again:'
          : 'part of it failed, and the former configuration is not (all) in force: look at `hnvgw show` and apply a file again:',
        ...(failed.failures ?? []).map((f) => `  ${f.routingDomain ? `${f.routingDomain}: ` : ''}${f.op}: ${f.error}`),
      ].join('\n');
    }
    default:
      return refusal.message ?? 'the gateway refused without a reason';
  }
}
