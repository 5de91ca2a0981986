/**
 * The life cycle of an S2S interface in the four states that operators know (MS-RRASM ROUTER_CONNECTION_STATE): one flat
 * statechart behind a pure `next`. Commands are data; whoever carries out `initiate` answers each with exactly one
 * `dialSucceeded` or `dialFailed`, however late.
 *
 * A persistent interface dials at once and for ever, RetryIntervalSeconds apart (NumberOfTries counts only for a dial that was
 * asked for, 0 = for ever; DESIGN §5). Others answer their peer.
 * Deviation: a tunnel that ends within MIN_UPTIME_MS is not dialled again at once but after the retry interval, or a peer that
 * accepts and deletes would be dialled without pause.
 * An interface is dialled only while its local address can be used; one that waits is dialled the moment it can.
 */
import { assign, setup, transition } from 'xstate';

export type ConnectionState = 'Unreachable' | 'Disconnected' | 'Connecting' | 'Connected';
/** ROUTER_CONNECTION_STATE's reasons, as far as they can arise here. */
export type UnReachabilityReason = 'AdminDisabled' | 'ConnectionFailure' | 'ServicePaused';

export const MIN_UPTIME_MS = 10_000;
/** LastError of an interface that waits for its local address. */
export const NO_LOCAL_ADDRESS = 'the local address is on no NIC that is up and has a carrier';

export interface S2sSettings {
  readonly persistent: boolean;
  readonly retryIntervalSeconds: number;
  readonly numberOfTries: number;
}

interface Context extends S2sSettings {
  readonly adminStatus: boolean;
  readonly charon: boolean;
  /** The address that is dialled from can be used. */
  readonly local: boolean;
  /** An `initiate` has not been answered yet. */
  readonly dialling: boolean;
  /** A retry timer runs. */
  readonly waiting: boolean;
  /** Dials since the last success; `asked` = a dial of an interface that is not persistent. */
  readonly tries: number;
  readonly asked: boolean;
  readonly connectedAt: number;
  readonly lastError: string;
}

export interface S2sState extends Context {
  readonly connectionState: ConnectionState;
  readonly unReachabilityReasons: readonly UnReachabilityReason[];
}

export type S2sEvent =
  | { readonly type: 'up' }
  | { readonly type: 'down' }
  | { readonly type: 'dial' }
  | { readonly type: 'dialSucceeded' }
  | { readonly type: 'dialFailed'; readonly reason: string }
  | { readonly type: 'retryDue' }
  | { readonly type: 'configure'; readonly settings: S2sSettings }
  /** `up`: whether its SA stands at this moment, so that what runs is adopted and not dialled. */
  | { readonly type: 'adminEnable'; readonly up: boolean }
  | { readonly type: 'adminDisable' }
  | { readonly type: 'charonLost' }
  | { readonly type: 'charonBack'; readonly up: boolean }
  /** Dialling from an address that no NIC has yet would fail, and the next try be a whole RetryInterval away. */
  | { readonly type: 'localAddress'; readonly usable: boolean };

export type S2sCommand =
  | { readonly kind: 'initiate' }
  | { readonly kind: 'terminate' }
  | { readonly kind: 'startRetryTimer'; readonly seconds: number }
  | { readonly kind: 'stopRetryTimer' }
  /** The dial was answered with success: list-sas must say whether the tunnel stands. */
  | { readonly kind: 'resync' };

const UNKNOWN: Context = {
  persistent: false,
  retryIntervalSeconds: 60,
  numberOfTries: 0,
  adminStatus: false,
  charon: false,
  local: true,
  dialling: false,
  waiting: false,
  tries: 0,
  asked: false,
  connectedAt: 0,
  lastError: '',
};

type Timed = S2sEvent & { readonly now: number };

const machine = setup({
  types: { context: {} as Context, events: {} as Timed },
  guards: {
    usable: ({ context: c }) => c.adminStatus && c.charon,
    charon: ({ context: c }) => c.charon,
    mayDial: ({ context: c }) =>
      c.adminStatus && c.charon && c.local && !c.dialling && !c.waiting && (c.persistent || c.asked),
    dialling: ({ context: c }) => c.dialling,
    triesLeft: ({ context: c }) => c.persistent || c.numberOfTries === 0 || c.tries < c.numberOfTries,
    shortLived: ({ context: c, event }) => c.persistent && event.now - c.connectedAt < MIN_UPTIME_MS,
  },
  actions: {
    command: (_, _command: S2sCommand) => undefined,
    dialEnds: assign({ dialling: false }),
    failed: assign({
      lastError: ({ event }) => (event.type === 'dialFailed' ? event.reason : 'the tunnel did not last'),
    }),
    retryLater: assign({ waiting: true }),
    retryNow: assign({ waiting: false }),
    givesUp: assign({ asked: false, tries: 0 }),
    asked: assign({ asked: true, waiting: false }),
    enabled: assign({ adminStatus: true }),
    disabled: assign({ adminStatus: false, waiting: false, asked: false, tries: 0 }),
    charonBack: assign({ charon: true }),
    charonLost: assign({ charon: false, waiting: false, tries: 0 }),
    localAddress: assign(({ context: c, event }) => {
      if (event.type !== 'localAddress' || event.usable === c.local) return {};
      // What the last dial failed for may have been just this: no reason to wait.
      return event.usable
        ? { local: true, waiting: false, lastError: '' }
        : { local: false, lastError: NO_LOCAL_ADDRESS };
    }),
  },
}).createMachine({
  initial: 'Unreachable',
  context: UNKNOWN,
  on: {
    dialSucceeded: { actions: 'dialEnds' },
    dialFailed: { actions: 'dialEnds' },
    localAddress: { actions: 'localAddress' },
    configure: { actions: assign(({ event }) => event.settings) },
    adminEnable: [
      {
        guard: ({ context: c, event }) => !c.adminStatus && c.charon && event.up,
        target: '.Connected',
        actions: 'enabled',
      },
      { guard: ({ context: c }) => !c.adminStatus && c.charon, target: '.Disconnected', actions: 'enabled' },
      { actions: 'enabled' },
    ],
    adminDisable: {
      guard: ({ context: c }) => c.adminStatus,
      target: '.Unreachable',
      actions: ['disabled', { type: 'command', params: { kind: 'terminate' } }],
    },
    charonLost: { target: '.Unreachable', actions: 'charonLost' },
    charonBack: [
      {
        guard: ({ context: c, event }) => c.adminStatus && !c.charon && event.up,
        target: '.Connected',
        actions: 'charonBack',
      },
      { guard: ({ context: c }) => c.adminStatus && !c.charon, target: '.Disconnected', actions: 'charonBack' },
      { actions: 'charonBack' },
    ],
  },
  states: {
    Unreachable: {
      always: { guard: 'mayDial', target: 'Connecting' },
      on: {
        up: [
          { guard: 'usable', target: 'Connected' },
          // The peer came in the moment between disabling and unloading.
          { guard: 'charon', actions: { type: 'command', params: { kind: 'terminate' } } },
        ],
        dial: { guard: 'usable', actions: 'asked' },
        retryDue: { actions: 'retryNow' },
      },
    },
    Disconnected: {
      always: { guard: 'mayDial', target: 'Connecting' },
      on: { up: 'Connected', dial: { actions: 'asked' } },
    },
    Connecting: {
      entry: [
        assign({ dialling: true, tries: ({ context }) => context.tries + 1 }),
        { type: 'command', params: { kind: 'initiate' } },
      ],
      on: {
        up: 'Connected',
        dialSucceeded: { actions: ['dialEnds', { type: 'command', params: { kind: 'resync' } }] },
        dialFailed: [
          { guard: 'triesLeft', target: 'Unreachable', actions: ['dialEnds', 'failed', 'retryLater'] },
          { target: 'Unreachable', actions: ['dialEnds', 'failed', 'givesUp'] },
        ],
        // While the dial runs no SA is expected; afterwards it was answered with success and yet none stands.
        down: [
          { guard: 'dialling' },
          { guard: 'triesLeft', target: 'Unreachable', actions: ['failed', 'retryLater'] },
          { target: 'Unreachable', actions: ['failed', 'givesUp'] },
        ],
      },
    },
    Connected: {
      entry: assign({
        waiting: false,
        asked: false,
        tries: 0,
        lastError: '',
        connectedAt: ({ event }) => event.now,
      }),
      on: {
        down: [
          { guard: 'shortLived', target: 'Unreachable', actions: ['failed', 'retryLater'] },
          { target: 'Disconnected' },
        ],
      },
    },
  },
});

function reasonsOf(state: ConnectionState, c: Context): readonly UnReachabilityReason[] {
  if (state !== 'Unreachable') return [];
  const out: UnReachabilityReason[] = [];
  if (!c.adminStatus) out.push('AdminDisabled');
  if (!c.charon) out.push('ServicePaused');
  return out.length ? out : ['ConnectionFailure'];
}

/** An interface before anything is known of it: administratively disabled, charon not heard of. */
export function initial(settings: S2sSettings): S2sState {
  const c = { ...UNKNOWN, ...settings };
  return { ...c, connectionState: 'Unreachable', unReachabilityReasons: reasonsOf('Unreachable', c) };
}

/** `now` in milliseconds. */
export function next(
  state: S2sState,
  event: S2sEvent,
  now: number,
): { readonly state: S2sState; readonly commands: readonly S2sCommand[] } {
  const { connectionState, unReachabilityReasons: _, ...context } = state;
  const [snapshot, actions] = transition(machine, machine.resolveState({ value: connectionState, context }), {
    ...event,
    now,
  });
  const value = snapshot.value as ConnectionState;
  const commands = actions.flatMap((a) => (a.type === 'command' ? [a.params as unknown as S2sCommand] : []));
  // The timer runs exactly while the state says so; one that is due has stopped by itself.
  if (snapshot.context.waiting && !state.waiting)
    commands.push({ kind: 'startRetryTimer', seconds: snapshot.context.retryIntervalSeconds });
  if (!snapshot.context.waiting && state.waiting && event.type !== 'retryDue')
    commands.push({ kind: 'stopRetryTimer' });
  return {
    state: { ...snapshot.context, connectionState: value, unReachabilityReasons: reasonsOf(value, snapshot.context) },
    commands,
  };
}
