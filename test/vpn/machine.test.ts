/** The life cycle of an S2S interface: a table of what leads where, and what no sequence of events may break. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type ConnectionState,
  initial,
  MIN_UPTIME_MS,
  next,
  type S2sEvent,
  type S2sState,
} from '../../vpn/s2s/machine.ts';

const persistent = { persistent: true, retryIntervalSeconds: 60, numberOfTries: 3 };
const answering = { persistent: false, retryIntervalSeconds: 30, numberOfTries: 2 };
const enable: S2sEvent = { type: 'adminEnable', up: false };
const back: S2sEvent = { type: 'charonBack', up: false };
const noAddress: S2sEvent = { type: 'localAddress', usable: false };
const address: S2sEvent = { type: 'localAddress', usable: true };
const failed: S2sEvent = { type: 'dialFailed', reason: 'no answer' };

type Step = S2sEvent | S2sEvent['type'] | number;
/** Plays events (numbers advance the clock in ms) and gives the last state with all commands, `initiate` and so on. */
function play(settings: typeof persistent, ...steps: Step[]): { state: S2sState; commands: string[] } {
  let state = initial(settings);
  let now = 0;
  const commands: string[] = [];
  for (const step of steps) {
    if (typeof step === 'number') {
      now += step;
      continue;
    }
    const r = next(state, (typeof step === 'string' ? { type: step } : step) as S2sEvent, now);
    state = r.state;
    commands.push(...r.commands.map((c) => (c.kind === 'startRetryTimer' ? `${c.kind} ${c.seconds}` : c.kind)));
  }
  return { state, commands };
}

const dialled: Step[] = [enable, back];
const connected: Step[] = [...dialled, 'up', 'dialSucceeded'];
const TABLE: [string, typeof persistent, Step[], ConnectionState, string[]][] = [
  ['nothing known', persistent, [], 'Unreachable', []],
  ['enabled, charon not there', persistent, [enable], 'Unreachable', []],
  ['persistent dials at once', persistent, dialled, 'Connecting', ['initiate']],
  ['and adopts what stands', persistent, [enable, { type: 'charonBack', up: true }], 'Connected', []],
  ['up', persistent, connected, 'Connected', ['initiate']],
  [
    'a failed dial is tried again later',
    persistent,
    [...dialled, failed],
    'Unreachable',
    ['initiate', 'startRetryTimer 60'],
  ],
  ['without its local address it waits', persistent, [noAddress, ...dialled], 'Disconnected', []],
  ['and dials when that comes', persistent, [noAddress, ...dialled, address], 'Connecting', ['initiate']],
  [
    'it comes while a retry is waited for',
    persistent,
    [...dialled, failed, noAddress, address],
    'Connecting',
    ['initiate', 'startRetryTimer 60', 'initiate', 'stopRetryTimer'],
  ],
  [
    'the same again changes nothing',
    persistent,
    [...dialled, failed, address],
    'Unreachable',
    ['initiate', 'startRetryTimer 60'],
  ],
  ['a tunnel that stands stays without it', persistent, [...connected, noAddress], 'Connected', ['initiate']],
  [
    'and is dialled again only with it',
    persistent,
    [...connected, noAddress, MIN_UPTIME_MS, 'down'],
    'Disconnected',
    ['initiate'],
  ],
  [
    'when due',
    persistent,
    [...dialled, failed, 'retryDue'],
    'Connecting',
    ['initiate', 'startRetryTimer 60', 'initiate'],
  ],
  [
    'for ever',
    persistent,
    [...dialled, failed, 'retryDue', failed, 'retryDue', failed, 'retryDue', failed],
    'Unreachable',
    Array.from({ length: 4 }, () => ['initiate', 'startRetryTimer 60']).flat(),
  ],
  [
    'the peer dials while we wait',
    persistent,
    [...dialled, failed, 'up'],
    'Connected',
    ['initiate', 'startRetryTimer 60', 'stopRetryTimer'],
  ],
  ['the peer dials while we dial', persistent, [...dialled, 'up', failed], 'Connected', ['initiate']],
  [
    'down: dialled again at once',
    persistent,
    [...connected, MIN_UPTIME_MS, 'down'],
    'Connecting',
    ['initiate', 'initiate'],
  ],
  [
    'down at once: dialled again later',
    persistent,
    [...connected, MIN_UPTIME_MS - 1, 'down'],
    'Unreachable',
    ['initiate', 'startRetryTimer 60'],
  ],
  ['success is no tunnel yet', persistent, [...dialled, 'dialSucceeded'], 'Connecting', ['initiate', 'resync']],
  [
    'success without a tunnel',
    persistent,
    [...dialled, 'dialSucceeded', 'down'],
    'Unreachable',
    ['initiate', 'resync', 'startRetryTimer 60'],
  ],
  ['no SA is expected while the dial runs', persistent, [...dialled, 'down', 'down'], 'Connecting', ['initiate']],
  ['disabled', persistent, [...connected, 'adminDisable'], 'Unreachable', ['initiate', 'terminate']],
  [
    'disabled twice',
    persistent,
    [...connected, 'adminDisable', 'adminDisable'],
    'Unreachable',
    ['initiate', 'terminate'],
  ],
  [
    'enabled before the old dial is answered',
    persistent,
    [...dialled, 'adminDisable', enable],
    'Disconnected',
    ['initiate', 'terminate'],
  ],
  [
    'and after',
    persistent,
    [...dialled, 'adminDisable', enable, failed],
    'Connecting',
    ['initiate', 'terminate', 'initiate'],
  ],
  ['a disabled interface is not used', persistent, [back, 'up'], 'Unreachable', ['terminate']],
  ['charon lost', persistent, [...connected, 'charonLost'], 'Unreachable', ['initiate']],
  ['charon lost and back', persistent, [...connected, 'charonLost', back], 'Connecting', ['initiate', 'initiate']],
  [
    'charon lost while waiting',
    persistent,
    [...dialled, failed, 'charonLost', back],
    'Connecting',
    ['initiate', 'startRetryTimer 60', 'stopRetryTimer', 'initiate'],
  ],
  ['charon lost while dialling', persistent, [...dialled, 'charonLost', back], 'Disconnected', ['initiate']],
  ['the others answer', answering, dialled, 'Disconnected', []],
  ['the others answer: up', answering, [...dialled, 'up'], 'Connected', []],
  ['the others answer: down', answering, [...dialled, 'up', 'down'], 'Disconnected', []],
  ['asked to dial', answering, [...dialled, 'dial'], 'Connecting', ['initiate']],
  [
    'as often as NumberOfTries',
    answering,
    [...dialled, 'dial', failed, 'retryDue', failed, 'retryDue'],
    'Unreachable',
    ['initiate', 'startRetryTimer 30', 'initiate'],
  ],
  [
    'NumberOfTries 0: for ever',
    { ...answering, numberOfTries: 0 },
    [...dialled, 'dial', failed, 'retryDue', failed, 'retryDue', failed],
    'Unreachable',
    Array.from({ length: 3 }, () => ['initiate', 'startRetryTimer 30']).flat(),
  ],
  [
    'asked to dial instead of waiting',
    persistent,
    [...dialled, failed, 'dial'],
    'Connecting',
    ['initiate', 'startRetryTimer 60', 'initiate', 'stopRetryTimer'],
  ],
  ['disabled interfaces are not dialled', answering, [back, 'dial'], 'Unreachable', []],
  [
    'becoming persistent dials',
    answering,
    [...dialled, { type: 'configure', settings: persistent }],
    'Connecting',
    ['initiate'],
  ],
];

describe('S2S life cycle', () => {
  for (const [title, settings, steps, state, commands] of TABLE)
    it(`${title}: ${state}`, () => {
      const r = play(settings, ...steps);
      assert.deepEqual([r.state.connectionState, r.commands], [state, commands]);
    });

  it('tells why it is unreachable, and the last error until it is connected', () => {
    const reasons = (...steps: Step[]) => play(persistent, ...steps).state.unReachabilityReasons;
    assert.deepEqual(reasons(), ['AdminDisabled', 'ServicePaused']);
    assert.deepEqual(reasons(back), ['AdminDisabled']);
    assert.deepEqual(reasons(enable), ['ServicePaused']);
    assert.deepEqual(reasons(...dialled, failed), ['ConnectionFailure']);
    assert.deepEqual(reasons(...connected), []);
    assert.equal(play(persistent, ...dialled, failed).state.lastError, 'no answer');
    assert.equal(play(persistent, ...dialled, failed, 'retryDue').state.lastError, 'no answer');
    assert.equal(play(persistent, ...dialled, failed, 'up').state.lastError, '');
  });

  it('state is plain data', () => {
    const { state } = play(persistent, ...dialled);
    assert.deepEqual(JSON.parse(JSON.stringify(state)), state);
  });

  it('never dials twice at a time, never runs two timers, and is connected only with an SA', () => {
    const up = fc.boolean();
    const event: fc.Arbitrary<S2sEvent> = fc.oneof(
      fc
        .constantFrom('up', 'down', 'dial', 'dialSucceeded', 'retryDue', 'adminDisable', 'charonLost')
        .map((type) => ({ type }) as S2sEvent),
      fc.constant(failed),
      fc.constant(address),
      fc.constant(noAddress),
      fc.record({ type: fc.constantFrom('adminEnable' as const, 'charonBack' as const), up }),
      fc.record({ type: fc.constant('configure' as const), settings: fc.constantFrom(persistent, answering) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(20_000)), { maxLength: 60 }), (sequence) => {
        let state = initial(persistent);
        let [dials, timer, sa, admin, charon, local, now] = [0, false, false, false, false, true, 0];
        for (const [e, pause] of sequence) {
          now += pause;
          // The world keeps its side: answers only to dials, a timer only while it runs, no SA without charon.
          const answers = e.type === 'dialSucceeded' || e.type === 'dialFailed';
          if ((answers && dials === 0) || (e.type === 'retryDue' && !timer)) continue;
          if (!charon && (e.type === 'up' || e.type === 'down')) continue;
          if ((e.type === 'adminEnable' || (e.type === 'charonBack' && charon)) && e.up !== sa) continue;
          if (answers) dials--;
          if (e.type === 'retryDue') timer = false;
          if (e.type === 'up') sa = true;
          if (e.type === 'down' || e.type === 'charonLost') sa = false;
          if (e.type === 'charonBack') [sa, charon] = [e.up, true];
          if (e.type === 'charonLost') charon = false;
          if (e.type === 'localAddress') local = e.usable;
          if (e.type === 'adminEnable') admin = true;
          if (e.type === 'adminDisable') admin = false;
          const r = next(state, e, now);
          state = r.state;
          for (const c of r.commands) {
            if (c.kind === 'initiate') dials++;
            assert.ok(c.kind !== 'initiate' || local, 'dialled without its address');
            if (c.kind === 'startRetryTimer') {
              assert.ok(!timer, 'a second timer');
              timer = true;
            }
            if (c.kind === 'stopRetryTimer') timer = false;
          }
          assert.ok(dials <= 1, 'two dials');
          assert.equal(state.dialling, dials === 1);
          assert.equal(state.waiting, timer);
          assert.equal(state.connectionState === 'Connected', sa && admin && charon);
          if (state.connectionState === 'Connecting') assert.ok(admin && charon);
          // A persistent interface that could be up and is not is always on its way there.
          if (admin && charon && local && !sa && state.persistent)
            assert.ok(timer || dials === 1 || state.connectionState === 'Connecting', 'stuck');
        }
      }),
      { numRuns: 300 },
    );
  });
});
