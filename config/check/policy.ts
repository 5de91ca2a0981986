/** The overlay's policy rules (`compartments/policy.ts`), told in the paths of the file. */
import { type PolicyDomain, policyProblems } from '../../compartments/policy.ts';
import type { Path, Problem } from '../error.ts';
import type { Origins } from '../resolve.ts';

const KEYS: Readonly<Record<string, string>> = {
  addresses: 'IPAddress',
  customerAddress: 'CustomerAddress',
  destinationPrefix: 'DestinationPrefix',
  mac: 'MACAddress',
  nextHop: 'NextHop',
  providerAddress: 'ProviderAddress',
  rule: 'Rule',
};

/** A record's VirtualSubnetID is an internal interface's IsolationID. */
const keyOf = (step: string | number, list: string | number | undefined): string | number | undefined => {
  if (typeof step === 'number') return step;
  if (step === 'vsid') return list === 'VMNetworkAdapterRoutingDomainMapping' ? 'IsolationID' : 'VirtualSubnetID';
  return KEYS[step];
};

/** The file's path of a runtime path: the last object that has an origin, then the keys below it. */
function filePath(domains: readonly PolicyDomain[], path: readonly (string | number)[], origins: Origins): Path {
  let found: Path = [];
  let below: (string | number)[] = [];
  let at: unknown = domains;
  for (const step of path) {
    at = (at as Readonly<Record<string | number, unknown>> | undefined)?.[step];
    const origin = typeof at === 'object' && at ? origins.get(at) : undefined;
    if (origin) {
      found = origin;
      below = [];
      continue;
    }
    const key = keyOf(step, found.at(-2));
    if (key !== undefined) below.push(key);
  }
  return [...found, ...below];
}

/** As the other messages of this folder end: without capital and full stop. */
const clause = (sentence: string): string =>
  (/^[A-Z][a-z]/.test(sentence) ? sentence[0]!.toLowerCase() + sentence.slice(1) : sentence).replace(/\.$/, '');

export const overlayPolicy = (domains: readonly PolicyDomain[], origins: Origins): readonly Problem[] =>
  policyProblems(domains).map((p) => ({
    code: 'POLICY',
    path: filePath(domains, p.path, origins),
    problem: clause(p.problem),
    cure: clause(p.cure),
  }));
