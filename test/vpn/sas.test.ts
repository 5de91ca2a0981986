/** The snapshot of SAs: list-sas, the events over it, and which SAs must go. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  applyEvent,
  CHILDLESS_MS,
  isUp,
  nextChildlessAt,
  type Snapshot,
  snapshotOf,
  terminations,
} from '../../vpn/s2s/sas.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { message } from '../../vpn/vici/codec.ts';
import { address, CONTOSO, childSection, ikeSection, listSa, type Sa, upDown, WOODGROVE } from './fixtures.ts';

const expected = ({ interface: { name, destination }, ifId }: WatchedInterface) => ({ name, ifId, destination });
const contoso = expected(CONTOSO);
const woodgrove = expected(WOODGROVE);
const [SITE_C, SITE_W] = [contoso.destination, woodgrove.destination];
const NOW = 1_000_000;
const list = (...sas: Sa[]): Snapshot => snapshotOf(sas.map(listSa), NOW);
const child = { ifId: CONTOSO.ifId };
const told = (s: Snapshot, event: string, m: Parameters<typeof applyEvent>[2]) => applyEvent(s, event, m, NOW).snapshot;
const because = (s: Snapshot, loaded = [contoso, woodgrove], now = NOW) =>
  terminations(s, loaded, now).map((t) => `${t.uniqueId} ${t.because}`);

describe('SAs', () => {
  it("an interface is up with an established IKE_SA and a child of its own if_id, and never with the other tenant's", () => {
    assert.ok(isUp(list({ child }), contoso));
    assert.ok(!isUp(list({ child }), woodgrove));
    assert.ok(!isUp(list({ child: { ifId: WOODGROVE.ifId } }), contoso));
    assert.ok(!isUp(list({}), contoso));
    assert.ok(!isUp(list({ name: '(unnamed)', child }), contoso));
    for (const state of ['CONNECTING', 'CREATED', 'DELETING', 'REKEYED'])
      assert.ok(!isUp(list({ state, child }), contoso), state);
    for (const state of ['DELETED', 'REKEYED', 'CREATED', 'ROUTED'])
      assert.ok(!isUp(list({ child: { ...child, state } }), contoso), state);
  });

  it('an interface stays up while it is rekeyed', () => {
    assert.ok(isUp(list({ state: 'REKEYING', child }), contoso));
    assert.ok(isUp(list({ child: { ...child, state: 'REKEYING' } }), contoso));
    const rekeyed = message({ IfCe1: { old: ikeSection({ id: '1' }), new: ikeSection({ id: '2' }) } });
    const s = told(list({ id: '1', child }), 'ike-rekey', rekeyed);
    assert.deepEqual([...s.keys()], ['2']);
    assert.ok(isUp(s, contoso));
    const children = { 'child-sas': { IfCe1: { old: childSection({ id: '1' }), new: childSection({ id: '9' }) } } };
    const s2 = told(s, 'child-rekey', message({ IfCe1: new Map([...ikeSection({ id: '2' }), ...message(children)]) }));
    assert.ok(isUp(s2, contoso));
    assert.deepEqual([...s2.get('2')!.children.keys()], ['9']);
    assert.ok(!isUp(told(s2, 'ike-updown', upDown(false, { id: '2' })), contoso));
  });

  it('the if_id is hexadecimal', () => {
    assert.ok(isUp(list({ child: { ifId: 0x10 } }), { ...contoso, ifId: 16 }));
    assert.ok(!isUp(list({ child: { ifId: 0x10 } }), { ...contoso, ifId: 10 }));
  });

  it('comes up by ike-updown and child-updown, goes down where `up` is missing', () => {
    let s = told(new Map(), 'ike-updown', upDown(true, {}));
    assert.ok(!isUp(s, contoso));
    s = told(s, 'child-updown', upDown(true, { child }));
    assert.ok(isUp(s, contoso));
    assert.ok(isUp(told(s, 'child-updown', upDown(false, { child: { ...child, id: '2' } })), contoso), 'another child');
    assert.ok(!isUp(told(s, 'child-updown', upDown(false, { child })), contoso));
    assert.ok(!isUp(told(s, 'ike-updown', upDown(false, { child })), contoso));
  });

  it('ignores down events of SAs that never were up, and does not resurrect one by the down event of its child', () => {
    const s = list({ id: '1', child });
    for (const event of ['ike-updown', 'child-updown']) {
      const r = applyEvent(
        s,
        event,
        upDown(false, { id: '7', state: 'CONNECTING', child: { ...child, id: '7' } }),
        NOW,
      );
      assert.deepEqual([...r.snapshot.keys()], ['1']);
      assert.ok(!r.unclear);
    }
    const gone = told(s, 'ike-updown', upDown(false, { id: '1', child }));
    assert.equal(told(gone, 'child-updown', upDown(false, { id: '1', child })).size, 0);
  });

  it('says so when an event does not fit what it knows', () => {
    const rekeyed = message({ IfCe1: { old: ikeSection({ id: '1' }), new: ikeSection({ id: '2' }) } });
    assert.ok(applyEvent(new Map(), 'ike-rekey', rekeyed, NOW).unclear);
    assert.ok(
      !applyEvent(list({ id: '2', child }), 'ike-rekey', rekeyed, NOW).unclear,
      'the list was newer than the event',
    );
    assert.ok(applyEvent(new Map(), 'child-rekey', listSa({ child }), NOW).unclear);
    assert.ok(applyEvent(new Map(), 'ike-updown', message({ IfCe1: {} }), NOW).unclear);
  });

  it('terminates nothing of a healthy gateway', () => {
    assert.deepEqual(
      because(list({ id: '1', child }, { id: '2', name: 'IfWe1', child: { ifId: WOODGROVE.ifId } })),
      [],
    );
  });

  it('keeps the newer of two SAs of one interface', () => {
    const s = list({ id: '9', established: 500, child }, { id: '10', established: 3, child });
    assert.deepEqual(because(s), ['9 duplicate']);
  });

  it('agrees with the other end which of two simultaneous SAs stays', () => {
    const pair = (spi1: string, spi2: string) =>
      list({ id: '1', established: 3, spi: spi1, child }, { id: '2', established: 2, spi: spi2, child });
    assert.deepEqual(because(pair('aa', 'bb')), ['2 duplicate']);
    // The other end counted them the other way round.
    assert.deepEqual(because(pair('bb', 'aa')), ['1 duplicate']);
  });

  it('terminates established SAs without a child after a few seconds, half-open ones never', () => {
    assert.deepEqual(because(list({ established: 2 })), []);
    assert.equal(nextChildlessAt(list({ established: 2 })), NOW - 2000 + CHILDLESS_MS);
    assert.deepEqual(because(list({ established: 11 })), ['1 childless']);
    assert.deepEqual(because(list({ established: 100, state: 'CONNECTING' })), []);
    assert.equal(nextChildlessAt(list({ child })), undefined);
  });

  it('terminates SAs of interfaces that are not loaded, and those with an if_id that is no longer theirs', () => {
    assert.deepEqual(because(list({ name: 'IfOld', child })), ['1 not loaded']);
    assert.deepEqual(because(list({ child: { ifId: WOODGROVE.ifId } })), ['1 wrong if_id']);
  });

  it("terminates SAs that are not with the interface's Destination, by address or identity; they never count as up", () => {
    for (const peer of [
      { host: SITE_W },
      { remoteId: SITE_W },
      { host: SITE_W, remoteId: SITE_C },
      { remoteId: '%any' },
    ]) {
      const s = list({ ...peer, child });
      assert.deepEqual(because(s), ['1 wrong peer'], JSON.stringify(peer));
      assert.ok(!isUp(s, contoso));
      assert.deepEqual(because(list({ ...peer, established: 1 })), ['1 wrong peer'], 'also without a child');
    }
    const s = list({ child }, { id: '2', name: 'IfWe1', child: { ifId: WOODGROVE.ifId } });
    const swapped = [
      { ...contoso, destination: SITE_W },
      { ...woodgrove, destination: SITE_C },
    ];
    assert.deepEqual(because(s, swapped), ['1 wrong peer', '2 wrong peer']);
  });

  it('an IPv6 peer is the same however its address is written', () => {
    const six = { ...contoso, destination: address('2001:db8::1') };
    assert.deepEqual(because(list({ host: '2001:DB8:0:0::1', child }), [six]), []);
  });

  it('an interface that is expected twice keeps SAs of either kind', () => {
    const next = { ...contoso, ifId: contoso.ifId + 1, destination: SITE_W };
    const [old, young] = [{ child }, { id: '2', host: SITE_W, child: { ifId: next.ifId } }];
    for (const sa of [old, young]) assert.deepEqual(because(list(sa), [contoso, next]), []);
    assert.deepEqual(because(list({ child: { ifId: next.ifId } }), [contoso, next]), ['1 wrong if_id']);
  });

  it('leaves SAs alone that bear no if_id of ours', () => {
    assert.deepEqual(
      because(list({ name: 'operator-made', child: { ifId: 0 } }, { id: '2', name: 'operator-made' })),
      [],
    );
  });

  it('is total: no message makes it throw', () => {
    const text = fc.constantFrom('yes', '1', '2', 'ESTABLISHED', 'zz', '');
    const key = fc.constantFrom('up', 'uniqueid', 'state', 'child-sas', 'old', 'new', 'IfCe1', 'if-id-in');
    const { m } = fc.letrec<{ m: ReturnType<typeof message> }>((tie) => ({
      m: fc
        .uniqueArray(fc.tuple(key, fc.oneof({ depthSize: 'small' }, text, tie('m'))), {
          selector: ([k]) => k,
          maxLength: 5,
        })
        .map((e) => new Map(e)),
    }));
    const events = fc.constantFrom('ike-updown', 'child-updown', 'ike-rekey', 'child-rekey');
    fc.assert(
      fc.property(fc.array(fc.tuple(events, m)), (sequence) => {
        let s: Snapshot = new Map();
        for (const [event, x] of sequence) s = applyEvent(s, event, x, NOW).snapshot;
        for (const [id, sa] of s) assert.equal(sa.uniqueId, id);
        terminations(s, [contoso], NOW);
      }),
    );
  });
});
