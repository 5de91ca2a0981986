/** What the gateway answers when it refuses or is asked how it is, in the operator's words. */
import { type ConfigError, formatConfigError } from '../../config/error.ts';
import type { Refusal } from '../gateway.ts';
import type { FailedOp, Status } from '../settled.ts';

const failedLine = (f: FailedOp): string => `  ${f.routingDomain ? `${f.routingDomain}: ` : ''}${f.op}: ${f.error}`;

export function explainStatus({ file, settled, unsettled, notes }: Status): string {
  const lines =
    file === ''
      ? ['no configuration is in force; see the log, then `hnvgw apply FILE`']
      : [
          `configured by ${file}`,
          settled ? 'all of it is there' : 'not all of it is there; it is tried again, the rest is in force:',
          ...unsettled.map(failedLine),
        ];
  return [...lines, ...notes.map((n) => `note: ${n}`), ''].join('\n');
}

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
        ...(failed.failures ?? []).map(failedLine),
      ].join('\n');
    }
    default:
      return refusal.message ?? 'the gateway refused without a reason';
  }
}
