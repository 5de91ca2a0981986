/**
 * All checks, in stages that follow each other: what must not be is looked for before what must be. The checks of a stage do not
 * disturb each other and run side by side.
 */

import { changeChecks } from './changes.ts';
import type { Check } from './check.ts';
import { crashChecks, restored } from './crash.ts';
import { compartmentChecks, disconnected, tunnelChecks, tunnelUp } from './interfaces.ts';
import { isolationChecks } from './isolation.ts';
import { beforeTunnels, tenantChecks, tunnelsUp } from './tenants.ts';
import { wireBefore, wireChecks } from './wires.ts';

const alone = (checks: readonly Check[]): readonly (readonly Check[])[] => checks.map((check) => [check]);

export const STAGES: readonly (readonly Check[])[] = [
  [...compartmentChecks, disconnected, beforeTunnels],
  [wireBefore],
  [tunnelsUp],
  [...tenantChecks, tunnelUp],
  // The attacks have markers and counters of their own, and beside them the pings of the changes have it harder.
  [...isolationChecks, ...changeChecks],
  ...alone(tunnelChecks),
  crashChecks,
  [...wireChecks, restored],
];

export const CHECKS: readonly Check[] = STAGES.flat();
