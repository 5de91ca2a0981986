/** The data plane's answer to a frame beside the model's: equal byte for byte, except where the data plane may choose. */
import assert from 'node:assert/strict';
import type { OverlayInput } from '../../encap/overlay.ts';
import { ACTION, type DataPath, type Run } from './data-path.ts';
import { Model, type Told, type Verdict } from './model.ts';

const MARK_REPLICA = 0x484e5600; // HNV_MARK_REPLICA

/**
 * Entropy that the data plane chooses, and the outer Ethernet header, which the kernel writes only after the program: zeros in
 * place of both.
 */
function withoutChoices(frame: Uint8Array, encapsulation: 'NVGRE' | 'VXLAN'): string {
  const b = Buffer.from(frame);
  const ipv6 = b[14]! >> 4 === 6;
  if (ipv6) b.writeUInt32BE((b.readUInt32BE(14) & 0xfff00000) >>> 0, 14); // flow label
  const at = ipv6 ? 54 : 34;
  if (encapsulation === 'NVGRE')
    b[at + 7] = 0; // FlowID
  else b.writeUInt16BE(0, at); // source port
  return b.toString('hex', 14);
}

const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');

export function assertSame(got: Run, want: Verdict, what: string): void {
  if (want.verdict === 'drop') {
    const action = want.answer ? ACTION.redirect : ACTION.drop;
    assert.deepEqual({ action: got.action, ...got.drop }, { action, reason: want.reason, slot: want.slot }, what);
    if (want.answer) assert.equal(hex(got.frame), hex(want.answer), what);
    return;
  }
  const action = { pass: ACTION.pass, copied: ACTION.copied, send: ACTION.redirect }[want.verdict];
  assert.deepEqual([got.action, got.drop], [action, undefined], what);
  if (want.verdict !== 'send') return;
  if (want.encapsulated)
    assert.equal(withoutChoices(got.frame, want.encapsulated), withoutChoices(want.frame, want.encapsulated), what);
  else assert.equal(hex(got.frame), hex(want.frame), what);
}

/** What the control plane is told of by the last frame. */
export function assertTold(path: DataPath, model: Model, what: string): readonly Told[] {
  const told = path.events().flatMap(({ type, ...e }) => (type === 'LEARNED' ? [e as Told] : []));
  assert.deepEqual(told, model.told(), what);
  return told;
}

export interface Compared {
  port(device: string, frame: Uint8Array, what?: string): Run;
  /** What was told by the last frame of a port or the wire. */
  told(): readonly Told[];
  /** The copy of a frame for the machine with that number. */
  replica(device: string, frame: Uint8Array, n: number, what?: string): Run;
  wire(frame: Uint8Array, what?: string): Run;
}

/** Both over one policy; the run is given back for further questions. */
export function compared(path: DataPath, input: OverlayInput): Compared {
  const model = new Model(input);
  // Events of drops are left to others where none is of what was learned.
  const speaks = input.domains.some((d) => d.virtualSubnets);
  let told: readonly Told[] = [];
  const index = (device: string): number => input.link(device)!.index;
  return {
    told: () => told,
    port(device, frame, what = device) {
      const run = path.run('port', index(device), frame);
      assertSame(run, model.port(index(device), frame), what);
      if (speaks) told = assertTold(path, model, what);
      return run;
    },
    replica(device, frame, n, what = `${device} ${n}`) {
      const run = path.run('port', index(device), frame, { mark: MARK_REPLICA | n });
      assertSame(run, model.replica(index(device), frame, n), what);
      return run;
    },
    wire(frame, what = 'nic') {
      const run = path.run('wire', index('nic'), frame);
      assertSame(run, model.wire(frame), what);
      if (speaks) told = assertTold(path, model, what);
      return run;
    },
  };
}
