/** What the API answers when it refuses a change of records, in the operator's words. */
import { formatRecordError } from '../compartments/record-reasons.ts';
import type { RecordRefusal } from './plane.ts';

type Of<C extends RecordRefusal['code']> = Extract<RecordRefusal, { code: C }>;

export const explainFailures = (failures: Of<'FAILED'>['failures']): string =>
  [
    'the system refused part of it; everything was put back:',
    ...failures.map((f) => `  ${f.routingDomain ? `${f.routingDomain}: ` : ''}${f.op}: ${f.error}`),
  ].join('\n');

export function explainRecordRefusal(body: unknown): string {
  const refusal = body as Partial<RecordRefusal> & { readonly message?: string };
  if (refusal.code === 'RECORD') return ((refusal as Of<'RECORD'>).errors ?? []).map(formatRecordError).join('\n');
  if (refusal.code === 'FAILED') return explainFailures((refusal as Of<'FAILED'>).failures ?? []);
  return refusal.message ?? 'refused without a reason';
}
