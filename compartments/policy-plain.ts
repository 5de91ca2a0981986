/**
 * Rules about records of machines that are reached without encapsulation (TranslationMethodNone, R-POL-1): their packets bear no
 * virtual subnet, so the address alone must tell whose they are. Pure.
 */
import type { Address } from '../lib/address.ts';
import type { LookupRecord } from './compartment.ts';
import type { PolicyDomain, PolicyProblem } from './policy-domain.ts';

export const isPlain = (r: LookupRecord): boolean => r.rule === 'TranslationMethodNone';

/** Of all VM networks of a machine together. */
export function plainProblems(domains: readonly PolicyDomain[]): readonly PolicyProblem[] {
  const owner = new Map<Address, PolicyDomain>();
  const problems: PolicyProblem[] = [];
  for (const [index, d] of domains.entries())
    for (let i = 0; i < d.lookupRecords.length; i++) {
      const r = d.lookupRecords[i]!;
      if (!isPlain(r)) continue;
      const path = [index, 'lookupRecords', i];
      if (r.type !== 'Static') {
        problems.push({
          path: [...path, 'rule'],
          problem: `a record of type ${r.type} cannot have the rule TranslationMethodNone`,
          cure: 'Write TranslationMethodEncap, or the type Static with the address of the machine.',
        });
        continue;
      }
      const first = owner.get(r.customerAddress) ?? d;
      owner.set(r.customerAddress, first);
      if (first !== d)
        problems.push({
          path: [...path, 'customerAddress'],
          problem: `${r.customerAddress} is already reached without encapsulation by routing domain ${first.routingDomain}`,
          cure: 'Give the machine to one routing domain; encapsulate for the others.',
        });
    }
  return problems;
}
