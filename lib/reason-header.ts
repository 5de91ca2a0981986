/** The packet reasons as a C header, so that the data plane and TypeScript cannot disagree about a number. Pure. */
import type { Reason } from './reason.ts';

/** Text of `bpf/reason.h`. */
export function renderReasonHeader(reasons: readonly Reason[]): string {
  const defines = reasons.map((r) => `/* ${r.meaning} */\n#define HNV_${r.name} ${r.number}`);
  return [
    '/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */',
    '/* Generated from lib/reason.ts by bin/reasons.ts; do not edit. */',
    '#pragma once',
    '',
    ...defines,
    '',
  ].join('\n');
}
