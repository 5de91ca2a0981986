/** What is random per run: secrets, and the texts by which a tenant's page is found again wherever it appears. */
import { randomBytes } from 'node:crypto';
import { SITES, THIRD_TENANT } from './fabrikam.ts';
import { type RunData, SERVERS } from './world/world.ts';

const random = (): string => randomBytes(16).toString('hex');

export const newRunData = (): RunData => ({
  markers: Object.fromEntries(SERVERS.map((ns) => [ns, `marker-${ns}-${random()}`])),
  secrets: Object.fromEntries([...SITES, ...THIRD_TENANT.sites].map((s) => [s.netns, random()])),
});
