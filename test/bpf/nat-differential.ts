/** The NAT's differential test: random packets and time through BPF_PROG_TEST_RUN and through the model, and what both keep. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressFromBytes, macFromBytes } from '../../lib/address.ts';
import { natMac } from '../../nat/abi.ts';
import { NatModel, type NatVerdict } from './nat-model.ts';
import { checksumOk, ETHERNET, ICMP, type Ip, isError, parseFrame, sameChecksum, TCP, UDP, u16 } from './nat-packet.ts';
import { ACTION, type Kept, NatPath, type NatRun } from './nat-path.ts';
import type { NatState } from './nat-state.ts';
import { type Made, packetsOf, type Step, step } from './nat-steps.ts';
import { natInput, SLOTS } from './nat-world.ts';

/** Where the clock stands at the beginning, s. */
const START = 10_000;

/** Payload with zeros in place of checksums, and these apart: a sum of zero has two forms. */
function parts(p: Ip): { readonly rest: string; readonly sums: readonly number[] } {
  const b = p.payload.slice();
  const sums: number[] = [];
  const take = (at: number): void => {
    if (b.length < at + 2) return;
    sums.push(u16(b, at));
    b.set([0, 0], at);
  };
  const sumOf = (protocol: number, at: number): void => {
    const offset = { [ICMP]: 2, [TCP]: 16, [UDP]: 6 }[protocol];
    if (offset !== undefined) take(at + offset);
  };
  sumOf(p.protocol, 0);
  if (p.protocol === ICMP && isError(b[0]!) && b.length >= 28) {
    take(18);
    sumOf(b[17]!, 28);
  }
  const head = [p.source, p.destination, p.protocol, p.ttl, p.tos, p.fragment].join(' ');
  return { rest: `${head} ${Buffer.from(b).toString('hex')}`, sums };
}

function assertSame(run: NatRun, want: NatVerdict, sent: Ip): void {
  if (want.verdict === 'drop') {
    assert.ok(run.drop && run.action !== ACTION.pass, `not dropped: ${want.reasons.join(' or ')}`);
    assert.ok(want.reasons.includes(run.drop.reason), `${run.drop.reason} in place of ${want.reasons.join(' or ')}`);
    assert.equal(run.drop.slot, want.slot);
    if (run.action === ACTION.redirect) assertAnswer(run, sent);
    return;
  }
  assert.deepEqual(run.drop, undefined);
  assert.equal(run.action, want.verdict === 'pass' ? ACTION.pass : ACTION.redirect);
  if (want.verdict === 'pass') return;
  const got = parseFrame(run.frame);
  assert.ok(got && checksumOk(run.frame.subarray(ETHERNET, ETHERNET + 20)), 'a broken header');
  const [a, b] = [parts(got), parts(want.packet)];
  assert.equal(a.rest, b.rest);
  assert.ok(
    a.sums.length === b.sums.length && a.sums.every((s, i) => sameChecksum(s, b.sums[i]!)),
    `checksums ${a.sums} in place of ${b.sums}`,
  );
  // RFC 768: a sum of zero says that there is none.
  if (got.protocol === UDP) assert.equal(u16(got.payload, 6) === 0, u16(want.packet.payload, 6) === 0);
  if (want.inside !== undefined) assert.equal(macFromBytes(run.frame.subarray(0, 6)), natMac(want.inside));
}

/** RFC 792: about the packet, to its sender, and right. */
function assertAnswer(run: NatRun, sent: Ip): void {
  const answer = parseFrame(run.frame);
  assert.ok(answer?.protocol === ICMP && answer.payload[0] === 3, 'another answer than Destination Unreachable');
  assert.equal(answer.destination, sent.source);
  assert.equal(addressFromBytes(answer.payload.subarray(8 + 16, 8 + 20)), sent.destination);
  assert.ok(checksumOk(run.frame.subarray(ETHERNET, ETHERNET + 20)) && checksumOk(answer.payload), 'a broken answer');
}

/** The model's memory in the words of the data plane's. */
function keptBy(s: NatState): Kept {
  const of = (map: ReadonlyMap<string, number>, key: string): number => map.get(key) ?? 0;
  const hosts = new Set([...s.sessionsOf.keys(), ...s.portsOf.keys()].filter((k) => k.includes(' ')));
  return {
    flows: [...s.flows.keys()].toSorted(),
    mappings: [...s.mappings.values()]
      .map((m) => `${m.slot} ${m.host}:${m.port} ${m.protocol} ${m.external}:${m.externalPort} ${m.sessions}`)
      .toSorted(),
    blocks: [...s.owners].toSorted(([a], [b]) => a - b).map(([block, owner]) => `${block} ${owner} ${s.usedIn(block)}`),
    usage: SLOTS.map(
      (slot) => `${slot} ${of(s.sessionsOf, `${slot}`)} ${of(s.portsOf, `${slot}`)} ${s.blocksOf(slot).length}`,
    ),
    hosts: [...hosts].map((k) => `${k} ${of(s.sessionsOf, k)} ${of(s.portsOf, k)}`).toSorted(),
  };
}

const nameOf = (run: NatRun, want: NatVerdict, slot: number | undefined): string => {
  const side = slot === undefined ? 'in' : 'out';
  if (want.verdict === 'drop')
    return `${side}: drop ${run.drop?.reason}${run.action === ACTION.redirect ? ', answered' : ''}`;
  if (want.verdict === 'pass') return `${side}: pass`;
  const error = want.packet.protocol === ICMP && isError(want.packet.payload[0]!) ? 'error ' : '';
  return `${side}: ${error}${want.inside === undefined ? 'to outside' : 'to inside'}`;
};

export interface NatFuzzed {
  readonly compared: number;
  readonly sweeps: number;
  /** How often each outcome was reached, most frequent first. */
  readonly verdicts: readonly (readonly [string, number])[];
}

const STEPS = 150;

/** Throws with the shortest sequence that fast-check finds when data plane and model differ. */
export async function fuzzNat(packets: number, seed: number): Promise<NatFuzzed> {
  const input = natInput(1 + (seed % 0xffff));
  const path = new NatPath(input);
  const counts = new Map<string, number>();
  let compared = 0;
  let sweeps = 0;
  const compare = (model: NatModel, { slot, packet }: Made, when: string): void => {
    const run = path.run(slot, packet);
    const answer = run.action === ACTION.redirect && !run.drop ? parseFrame(run.frame) : undefined;
    try {
      const want = slot === undefined ? model.inward(packet, answer) : model.outward(slot, packet, answer);
      assertSame(run, want, packet);
      const name = nameOf(run, want, slot);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      compared++;
    } catch (e) {
      const did = `${JSON.stringify({ action: run.action, drop: run.drop })} ${answer ? described(undefined, answer) : ''}`;
      const what = e instanceof Error ? e.message : String(e);
      throw new Error(`${when}, ${described(slot, packet)}: ${what}\nthe data plane: ${did}`, { cause: e });
    }
  };
  const play = (steps: readonly Step[]): void => {
    path.forget();
    const model = new NatModel(input, (block) => path.owner(block));
    let now = START;
    model.state.now = now;
    path.time(now);
    for (const [i, s] of steps.entries()) {
      if (s.kind === 'time') {
        now += s.seconds;
        model.state.now = now;
        path.time(now);
        if (!s.sweep) continue;
        path.sweep();
        model.sweep(now);
        sweeps++;
        continue;
      }
      for (const made of packetsOf(model.state, s)) compare(model, made, `step ${i} at ${now} s`);
    }
    assert.deepEqual(path.kept(), keptBy(model.state));
  };
  try {
    // Sequences until there are as many packets as were asked for.
    for (let round = 0; compared < packets; round++)
      fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: STEPS, size: 'max' }), play), {
        numRuns: Math.max(1, Math.min(200, Math.ceil((packets - compared) / STEPS))),
        seed: seed + round,
      });
  } finally {
    await path.close();
  }
  return { compared, sweeps, verdicts: [...counts].sort((a, b) => b[1] - a[1]) };
}

const described = (slot: number | undefined, p: Ip): string => {
  const side = slot === undefined ? 'outside' : `tenant ${slot}`;
  return `${side} ${p.protocol} ${p.source} > ${p.destination} ${Buffer.from(p.payload.subarray(0, 16)).toString('hex')}`;
};
