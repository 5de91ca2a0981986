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
  return domains.flatMap((d, index) =>
    d.lookupRecords.flatMap((r, i): readonly PolicyProblem[] => {
      if (!isPlain(r)) return [];
      const path = [index, 'lookupRecords', i];
      if (r.type !== 'Static')
        return [
          {
            path: [...path, 'rule'],
            problem: `a record of type ${r.type} cannot have the rule TranslationMethodNone`,
            cure: 'Write TranslationMethodEncap, or the type Static with the address of the machine.',
          },
        ];
      const first = owner.get(r.customerAddress) ?? d;
      owner.set(r.customerAddress, first);
      if (first === d) return [];
      return [
        {
          path: [...path, 'customerAddress'],
          problem: `${r.customerAddress} is already reached without encapsulation by routing domain ${first.routingDomain}`,
          cure: 'Give the machine to one routing domain; encapsulate for the others.',
        },
      ];
    }),
  );
}
