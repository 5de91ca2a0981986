/** The data plane's answer to a frame beside the model's: equal byte for byte, except where the data plane may choose. */
import assert from 'node:assert/strict';
import type { OverlayInput } from '../../encap/overlay.ts';
import { ACTION, type DataPath, type Run } from './data-path.ts';
import { Model, type Verdict } from './model.ts';

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
  const action = want.verdict === 'pass' ? ACTION.pass : ACTION.redirect;
  assert.deepEqual([got.action, got.drop], [action, undefined], what);
  if (want.verdict === 'pass') return;
  if (want.encapsulated)
    assert.equal(withoutChoices(got.frame, want.encapsulated), withoutChoices(want.frame, want.encapsulated), what);
  else assert.equal(hex(got.frame), hex(want.frame), what);
}

export interface Compared {
  port(device: string, frame: Uint8Array, what?: string): Run;
  wire(frame: Uint8Array, what?: string): Run;
}

/** Both over one policy; the run is given back for further questions. */
export function compared(path: DataPath, input: OverlayInput): Compared {
  const model = new Model(input);
  const index = (device: string): number => input.link(device)!.index;
  return {
    port(device, frame, what = device) {
      const run = path.run('port', index(device), frame);
      assertSame(run, model.port(index(device), frame), what);
      return run;
    },
    wire(frame, what = 'nic') {
      const run = path.run('wire', index('nic'), frame);
      assertSame(run, model.wire(frame), what);
      return run;
    },
  };
}
