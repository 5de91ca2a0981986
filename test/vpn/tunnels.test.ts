/** All S2S interfaces against charon's SAs: two tenants, the order of listing and events, coming and going. */
import assert from 'node:assert/strict';
import { NO_LOCAL_ADDRESS } from '../../vpn/s2s/machine.ts';
import { type Decision, Tunnels, type WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { address, CONTOSO, listSa, type Sa, upDown, WOODGROVE } from './fixtures.ts';

const NOW = 1_000_000;
const contosoSa: Sa = { id: '1', established: 100, child: { ifId: CONTOSO.ifId } };
const woodgroveSa: Sa = { id: '2', established: 100, name: 'IfWe1', child: { id: '2', ifId: WOODGROVE.ifId } };
const said = (d: Decision) =>
  d.commands.map((c) =>
    c.kind === 's2s'
      ? `${c.command.kind} ${c.name}`
      : c.kind === 'terminateSa'
        ? `kill ${c.uniqueId} ${c.because}`
        : c.kind,
  );
const states = (t: Tunnels) => Object.fromEntries([...t.states()].map(([n, s]) => [n, s.connectionState]));
const list = (t: Tunnels, ...sas: Sa[]): Decision => {
  t.listing();
  return t.listed(sas.map(listSa), NOW);
};
const running = (sas: Sa[], ...interfaces: WatchedInterface[]): Tunnels => {
  const t = new Tunnels();
  list(t, ...sas);
  t.setInterfaces(interfaces, NOW);
  return t;
};
const without = (w: WatchedInterface, over: Partial<WatchedInterface['interface']>): WatchedInterface => ({
  ...w,
  interface: { ...w.interface, ...over },
});

describe('tunnels', () => {
  it('does nothing before charon is listed and the gateway has loaded', () => {
    const t = new Tunnels();
    assert.deepEqual(said(t.setInterfaces([CONTOSO], NOW)), []);
    assert.deepEqual(states(t), { IfCe1: 'Unreachable' });
    assert.deepEqual(said(list(t)), [], 'what was loaded before charon came is not loaded now');
    assert.deepEqual(said(t.setInterfaces([CONTOSO], NOW)), ['initiate IfCe1']);
  });

  it('dials an interface when its own local address can be used, and adopts without', () => {
    const [own, other] = [address('131.107.10.10'), address('131.107.10.11')];
    const t = new Tunnels();
    assert.deepEqual(said(t.setLocalAddresses(new Set(), NOW)), []);
    list(t, contosoSa);
    const fresh = { ...WOODGROVE, localAddress: own };
    assert.deepEqual(said(t.setInterfaces([{ ...CONTOSO, localAddress: own }, fresh], NOW)), []);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Disconnected' });
    assert.equal(t.states().get('IfWe1')?.lastError, NO_LOCAL_ADDRESS);
    assert.deepEqual(said(t.setLocalAddresses(new Set([other]), NOW)), []);
    assert.deepEqual(said(t.setLocalAddresses(new Set([own, other]), NOW)), ['initiate IfWe1']);
    assert.deepEqual(said(t.setLocalAddresses(new Set([own]), NOW)), []);
  });

  it('adopts what runs: no dial, no termination, nothing changes', () => {
    const t = new Tunnels();
    assert.deepEqual(said(list(t, contosoSa, woodgroveSa)), []);
    assert.deepEqual(said(t.setInterfaces([CONTOSO, WOODGROVE], NOW)), []);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Connected' });
    assert.deepEqual(list(t, contosoSa, woodgroveSa), { commands: [], changed: [] });
    assert.deepEqual(t.setInterfaces([CONTOSO, WOODGROVE], NOW), { commands: [], changed: [] });
  });

  it("one tenant's event changes nothing for the other", () => {
    const t = running([contosoSa, woodgroveSa], CONTOSO, without(WOODGROVE, { persistent: false }));
    const d = t.saEvent('ike-updown', upDown(false, woodgroveSa), NOW);
    assert.deepEqual(d, { commands: [], changed: ['IfWe1'] });
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Disconnected' });
  });

  it('notices in the list what no event told', () => {
    const t = running([contosoSa, woodgroveSa], CONTOSO, without(WOODGROVE, { persistent: false }));
    assert.deepEqual(list(t, contosoSa).changed, ['IfWe1']);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Disconnected' });
  });

  it('an event during a list-sas is played over its result', () => {
    const t = running([contosoSa], CONTOSO);
    t.listing();
    t.saEvent('ike-updown', upDown(false, contosoSa), NOW + 20_000);
    const d = t.listed([listSa(contosoSa)], NOW + 20_000);
    assert.deepEqual(d.changed, [], 'the list was made before the event');
    assert.deepEqual(states(t), { IfCe1: 'Connecting' });
  });

  it('a dial that was just answered is judged by the next list-sas, not by one that already ran', () => {
    const t = running([], CONTOSO);
    t.listing();
    assert.deepEqual(said(t.interfaceEvent('IfCe1', { type: 'dialSucceeded' }, NOW)), ['resync']);
    t.listed([], NOW);
    t.saEvent('ike-updown', upDown(true, { ...woodgroveSa, name: 'other' }), NOW);
    assert.deepEqual(states(t), { IfCe1: 'Connecting' });
    assert.deepEqual(said(list(t)), ['startRetryTimer IfCe1']);
    assert.deepEqual(states(t), { IfCe1: 'Unreachable' });
  });

  it('an interface that is taken out is terminated, and its running dial is waited for', () => {
    const t = running([contosoSa], CONTOSO, WOODGROVE);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Connecting' });
    const d = t.setInterfaces([], NOW);
    assert.deepEqual(said(d), ['terminate IfCe1', 'terminate IfWe1']);
    assert.deepEqual(d.changed, ['IfCe1', 'IfWe1']);
    assert.deepEqual(states(t), {});
    assert.deepEqual(
      said(t.setInterfaces([CONTOSO, WOODGROVE], NOW)),
      [],
      'Contoso stands still, Woodgrove dials still',
    );
    assert.deepEqual(said(t.interfaceEvent('IfWe1', { type: 'dialFailed', reason: 'gone' }, NOW)), ['initiate IfWe1']);
  });

  it('terminates SAs of interfaces that are gone or disabled, in a list only', () => {
    const disabled = without(CONTOSO, { adminStatus: false });
    const t = running([], disabled);
    assert.deepEqual(said(t.saEvent('child-updown', upDown(true, contosoSa), NOW)), ['terminate IfCe1']);
    assert.deepEqual(said(list(t, contosoSa, woodgroveSa)), [
      'kill 1 not loaded',
      'kill 2 not loaded',
      'terminate IfCe1',
    ]);
  });

  it('a changed if_id takes the tunnel down and dials anew', () => {
    const t = running([contosoSa], CONTOSO);
    const moved = { ...CONTOSO, ifId: CONTOSO.ifId + 1 };
    assert.deepEqual(t.setInterfaces([moved], NOW + 20_000).changed, ['IfCe1']);
    assert.deepEqual(states(t), { IfCe1: 'Connecting' });
    assert.deepEqual(said(list(t, contosoSa)), ['kill 1 wrong if_id']);
  });

  it('a peer that dials in while its connection is loaded is neither terminated nor watched before all is loaded', () => {
    const t = running([contosoSa], CONTOSO);
    assert.deepEqual(said(list(t, contosoSa, woodgroveSa)), ['kill 2 not loaded']);
    t.expect([CONTOSO, WOODGROVE]);
    assert.deepEqual(t.saEvent('child-updown', upDown(true, woodgroveSa), NOW), { commands: [], changed: [] });
    assert.deepEqual(list(t, contosoSa, woodgroveSa), { commands: [], changed: [] });
    assert.deepEqual(states(t), { IfCe1: 'Connected' });
    const stranger: Sa = { ...woodgroveSa, name: 'IfOld' };
    const foreign: Sa = { ...woodgroveSa, child: { ifId: CONTOSO.ifId } };
    const wrong: Sa = { ...woodgroveSa, host: CONTOSO.interface.destination };
    assert.deepEqual(said(list(t, contosoSa, stranger)), ['kill 2 not loaded']);
    assert.deepEqual(said(list(t, contosoSa, foreign)), ['kill 2 wrong if_id']);
    assert.deepEqual(said(list(t, contosoSa, wrong)), ['kill 2 wrong peer']);
    list(t, contosoSa, woodgroveSa);
    assert.deepEqual(t.setInterfaces([CONTOSO, WOODGROVE], NOW), { commands: [], changed: ['IfWe1'] });
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Connected' });
    t.setInterfaces([CONTOSO], NOW);
    assert.deepEqual(said(list(t, contosoSa, woodgroveSa)), ['kill 2 not loaded'], 'no longer expected');
  });

  it('the last expectation counts: one that was given up protects nothing', () => {
    const t = running([contosoSa], CONTOSO);
    t.expect([CONTOSO, WOODGROVE]);
    t.expect([CONTOSO]);
    assert.deepEqual(said(list(t, contosoSa, woodgroveSa)), ['kill 2 not loaded']);
  });

  it('an interface that is about to be enabled is not terminated, one that stays disabled is', () => {
    const disabled = without(CONTOSO, { adminStatus: false });
    const t = running([], disabled);
    t.expect([CONTOSO]);
    assert.deepEqual(said(t.saEvent('child-updown', upDown(true, contosoSa), NOW)), []);
    assert.deepEqual(said(list(t, contosoSa)), []);
    assert.deepEqual(said(t.setInterfaces([CONTOSO], NOW)), []);
    assert.deepEqual(states(t), { IfCe1: 'Connected' });
    const u = running([], disabled);
    u.expect([disabled]);
    assert.deepEqual(said(u.saEvent('child-updown', upDown(true, contosoSa), NOW)), ['terminate IfCe1']);
  });

  it('a new Destination while the former one still stands: both fit until all is loaded, then only the new one', () => {
    const t = running([contosoSa], CONTOSO);
    const moved = without(CONTOSO, { destination: address('59.10.10.11') });
    const movedSa: Sa = { ...contosoSa, id: '3', host: '59.10.10.11' };
    t.expect([moved]);
    assert.deepEqual(said(list(t, contosoSa)), []);
    assert.deepEqual(
      said(list(t, movedSa)).filter((s) => s.startsWith('kill')),
      [],
    );
    t.setInterfaces([moved], NOW);
    assert.deepEqual(states(t), { IfCe1: 'Connected' });
    assert.deepEqual(
      said(list(t, contosoSa)).filter((s) => s.startsWith('kill')),
      ['kill 1 wrong peer'],
    );
  });

  it('a changed interface is dialled at once, whatever the former configuration waits for; an unchanged one waits', () => {
    const t = running([], CONTOSO, WOODGROVE);
    for (const name of ['IfCe1', 'IfWe1'])
      t.interfaceEvent(name, { type: 'dialFailed', reason: 'AUTHENTICATION_FAILED' }, NOW);
    const mended = without(CONTOSO, { sharedSecret: { reveal: () => 'mended' } });
    assert.deepEqual(said(t.setInterfaces([mended, WOODGROVE], NOW)), ['stopRetryTimer IfCe1', 'initiate IfCe1']);
    const again = without(CONTOSO, { sharedSecret: { reveal: () => 'mended again' } });
    assert.deepEqual(said(t.setInterfaces([again, WOODGROVE], NOW)), [], 'its dial still runs');
    const failed = () => said(t.interfaceEvent('IfCe1', { type: 'dialFailed', reason: 'no' }, NOW));
    assert.ok(failed().includes('initiate IfCe1'), 'that dial began with the former secret');
    assert.deepEqual(failed(), ['startRetryTimer IfCe1']);
  });

  it('looks again when a childless SA has become too old', () => {
    const t = running([], without(CONTOSO, { persistent: false }));
    const d = t.saEvent('ike-updown', upDown(true, { id: '5', established: 0 }), NOW);
    assert.deepEqual(d.commands, [{ kind: 'resync', afterMs: 10_001 }]);
    t.listing();
    assert.deepEqual(said(t.listed([listSa({ id: '5', established: 11 })], NOW)), ['kill 5 childless']);
  });

  it('an ended connection to charon is no ended tunnel; the next list-sas tells', () => {
    const t = running([contosoSa], CONTOSO, WOODGROVE);
    assert.deepEqual(t.disconnected(NOW).changed, ['IfWe1']);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Unreachable' });
    assert.equal(t.snapshot.size, 0);
    assert.deepEqual(list(t, contosoSa), { commands: [], changed: [] });
    t.interfaceEvent('IfWe1', { type: 'dialFailed', reason: 'charon went' }, NOW);
    const d = t.setInterfaces([CONTOSO, WOODGROVE], NOW);
    assert.deepEqual(d, {
      commands: [{ kind: 's2s', name: 'IfWe1', slot: WOODGROVE.slot, command: { kind: 'initiate' } }],
      changed: ['IfWe1'],
    });
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Connecting' });
  });

  it('a new charon without SAs: dialled when the gateway has loaded, not before', () => {
    const t = running([contosoSa], CONTOSO);
    t.disconnected(NOW);
    assert.deepEqual(list(t), { commands: [], changed: ['IfCe1'] });
    assert.deepEqual(states(t), { IfCe1: 'Unreachable' });
    assert.deepEqual(said(t.setInterfaces([CONTOSO], NOW + 20_000)), ['initiate IfCe1']);
  });

  it('charon lost: all is unknown until it is listed and loaded again', () => {
    const t = running([contosoSa, woodgroveSa], CONTOSO, WOODGROVE);
    t.disconnected(NOW);
    assert.deepEqual(t.charonLost(NOW).changed, ['IfCe1', 'IfWe1']);
    assert.deepEqual(t.states().get('IfCe1')?.unReachabilityReasons, ['ServicePaused']);
    assert.deepEqual(said(list(t, contosoSa)), []);
    assert.deepEqual(said(t.setInterfaces([CONTOSO, WOODGROVE], NOW)), ['initiate IfWe1']);
    assert.deepEqual(states(t), { IfCe1: 'Connected', IfWe1: 'Connecting' });
  });
});
