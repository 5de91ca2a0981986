import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Compartment, RoutingDomainId } from '../../compartments/compartment.ts';
import { ifIdOf, netnsOf, portOf, slotOfIfId, slotOfNetns, slotOfPort } from '../../compartments/numbers.ts';
import { assignSlots, EMPTY_SLOTS, ifIdOfInterface, slotOf } from '../../compartments/slots.ts';

const compartment = (id: string, s2s: readonly string[]): Compartment => ({
  routingDomain: id,
  routingDomainId: id as RoutingDomainId,
  internalInterfaces: [],
  routes: [],
  s2sInterfaces: s2s.map((name) => ({ name }) as Compartment['s2sInterfaces'][number]),
  customerRoutes: [],
  lookupRecords: [],
});
const world = fc.uniqueArray(
  fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.uniqueArray(fc.constantFrom('If1', 'If2', 'constructor'))),
  { selector: ([id]) => id },
);

describe('slots', () => {
  it('never change for who has one and are never given twice, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(world, { maxLength: 6 }), (steps) => {
        let table = EMPTY_SLOTS;
        const slots = new Map<string, number>();
        const ids = new Map<string, number>();
        for (const step of steps) {
          const compartments = step.map(([id, s2s]) => compartment(id, s2s));
          table = assignSlots(table, compartments);
          for (const c of compartments) {
            const slot = slotOf(table, c.routingDomainId);
            assert.equal(slots.get(c.routingDomainId) ?? slot, slot);
            slots.set(c.routingDomainId, slot);
            for (const i of c.s2sInterfaces) {
              const key = `${c.routingDomainId}/${i.name}`;
              const ifId = ifIdOfInterface(table, c.routingDomainId, i.name);
              assert.equal(ids.get(key) ?? ifId, ifId);
              assert.equal(slotOfIfId(ifId), slot);
              ids.set(key, ifId);
            }
          }
        }
        assert.equal(new Set(slots.values()).size, slots.size);
        assert.equal(new Set(ids.values()).size, ids.size);
        assert.ok([...slots.values()].every((s) => s >= 2));
      }),
    );
  });

  it('lead from every kernel name back to the tenant', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 4_000_000 }), fc.nat(1023), (slot, n) => {
        assert.equal(slotOfNetns(netnsOf(slot)), slot);
        assert.equal(slotOfPort(portOf(slot, n)), slot);
        assert.equal(slotOfIfId(ifIdOf(slot, n)), slot);
        assert.ok(ifIdOf(slot, n) < 2 ** 32);
      }),
    );
    assert.equal(slotOfNetns('c1'), undefined);
    assert.equal(slotOfNetns('contoso'), undefined);
    assert.equal(slotOfPort('eth0'), undefined);
  });
});
