/** All checks in the order in which they are run: what must not be is looked for before what must be. */

import { changeChecks } from './changes.ts';
import type { Check } from './check.ts';
import { crashChecks } from './crash.ts';
import { compartmentChecks, disconnected, tunnelChecks } from './interfaces.ts';
import { isolationChecks } from './isolation.ts';
import { beforeTunnels, tenantChecks, tunnelsUp } from './tenants.ts';
import { wireBefore, wireChecks } from './wires.ts';

export const CHECKS: readonly Check[] = [
  ...compartmentChecks,
  disconnected,
  beforeTunnels,
  wireBefore,
  tunnelsUp,
  ...tenantChecks,
  ...tunnelChecks,
  ...isolationChecks,
  ...changeChecks,
  ...crashChecks,
  ...wireChecks,
];
