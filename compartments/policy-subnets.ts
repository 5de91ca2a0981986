/** Rules about what virtual subnets do beside their records (R-ENC-8, R-ENC-12). Pure. */
import type { Vsid } from './compartment.ts';
import type { PolicyDomain, PolicyProblem } from './policy-domain.ts';

export function subnetProblems(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const learning = new Set<Vsid>();
  const seen = new Set<Vsid>();
  (d.virtualSubnets ?? []).forEach((s, i) => {
    const path = [index, 'virtualSubnets', i, 'vsid'];
    const gateway = d.internalInterfaces?.find((n) => n.vsid === s.vsid);
    if (seen.has(s.vsid))
      problems.push({
        path,
        problem: `virtual subnet ${s.vsid} is already described`,
        cure: 'Describe each virtual subnet once.',
      });
    else if (gateway && (s.dynamicLearning || s.replication))
      problems.push({
        path,
        problem: `virtual subnet ${s.vsid} belongs to the gateway's ${gateway.name} alone, nobody is there to learn from or to replicate to`,
        cure: 'Name the virtual subnet of the VMs.',
      });
    seen.add(s.vsid);
    if (s.dynamicLearning) learning.add(s.vsid);
  });
  (d.ports ?? []).forEach((p, i) => {
    if (p.addresses.length === 0 && !learning.has(p.vsid))
      problems.push({
        path: [index, 'ports', i, 'addresses'],
        problem: `port ${p.name} has no address, and virtual subnet ${p.vsid} does not learn any`,
        cure: 'Write its addresses, or let the virtual subnet learn.',
      });
  });
  return problems;
}
