/** What `monitor` prints: tenant, reason, side, device, length, headers, and how much of all drops that is. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { monitorLine } from '../../control/cli/monitor.ts';
import { dropNotice, SAMPLING } from '../../control/drops.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';

const names = {
  routingDomain: (slot: number) => (slot === 2 ? 'Contoso' : ''),
  device: (index: number) => `port${index}`,
};
const reason = PACKET_REASONS.find((r) => r.name === 'NO_RECORD')!.number;
const drop = (rdid: number, direction: 'port' | 'wire') =>
  dropNotice({ type: 'DROPPED', rdid, port: 7, reason, direction, length: 98, frame: new Uint8Array(64) }, names);

describe('control/monitor', () => {
  it('tells the sampling that the data plane is compiled with', () => {
    const header = fs.readFileSync(`${import.meta.dirname}/../../bpf/lib/drop.h`, 'utf8');
    assert.match(header, new RegExp(`#define SAMPLE_RATE ${SAMPLING.PerSecondAndCPU}\\n`));
    assert.match(header, new RegExp(`#define SAMPLE_BURST ${SAMPLING.Burst}\\n`));
    const [first, head] = monitorLine(SAMPLING).split('\n');
    assert.match(first!, /at most 200 a second on each CPU/);
    assert.match(head!, /^ROUTING DOMAIN +REASON +FROM +DEVICE +BYTES +FRAME$/);
  });

  it('a line has the tenant, the reason, the side, the device and the length under their heads', () => {
    const head = monitorLine(SAMPLING).split('\n')[1]!;
    const line = monitorLine(drop(2, 'wire'));
    for (const [title, text] of [
      ['ROUTING DOMAIN', 'Contoso'],
      ['REASON', 'NO_RECORD'],
      ['FROM', 'wire'],
      ['DEVICE', 'port7'],
    ] as const)
      assert.equal(line.indexOf(text), head.indexOf(title), title);
    assert.match(line, / 98 /);
    assert.match(monitorLine(drop(0, 'port')), /^- +NO_RECORD +port +port7/);
  });

  it('JSON names all of it', () => {
    const { Frame, ...rest } = drop(2, 'wire');
    assert.deepEqual(rest, {
      type: 'dropped',
      RoutingDomain: 'Contoso',
      Reason: 'NO_RECORD',
      Number: reason,
      Direction: 'wire',
      Port: 'port7',
      Length: 98,
    });
    assert.equal(typeof Frame, 'string');
  });
});
