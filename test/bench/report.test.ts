/** What the overlay benchmark says about given samples. */
import assert from 'node:assert/strict';
import {
  BARS,
  forPeople,
  type Machine,
  MEASURES,
  markdown,
  ROWS,
  report,
  type Samples,
  withBlock,
} from '../../bench/report.ts';

const machine: Machine = { cpu: 'CPU', cpus: 2, memoryGiB: 8, kernel: '6.18', date: '2026-01-02', load: 0.1 };
const samples = (pps: Readonly<Record<string, number>>): Samples =>
  Object.fromEntries(
    ROWS.map((r) => [r, Object.fromEntries(MEASURES.map((m) => [m, [m === 'pps' ? (pps[r] ?? 100) : 10, 10]]))]),
  ) as unknown as Samples;

describe('overlay report', () => {
  it('judges every bar of the list, each against its own place', () => {
    const r = report(samples({ vmOverlay: 1000, vmVxlan: 100 }), machine, 'reno');
    assert.equal(r.bars.length, BARS.length);
    for (const b of BARS) assert.ok(b.row.startsWith('vm') === b.against.startsWith('vm'), b.what);
    assert.equal(r.toVxlan.vmOverlay.pps.max, 10);
    assert.equal(r.toPlain.vmPlain.pps.median, 1);
    assert.match(forPeople(r), /MISSED/);
  });

  it('names the machine and the congestion control in the document', () => {
    const text = markdown(report(samples({}), machine, 'reno'));
    assert.match(text, /2026-01-02: 2 vCPU .*kernel 6\.18, load before 0\.1; .*reno/);
    assert.equal(
      text.split('\n').filter((l) => l.startsWith('| VM to VM: ') || l.startsWith('| gateway: ')).length,
      2 * ROWS.length,
    );
  });

  it('replaces what stands between the marks and nothing else', () => {
    const document = 'a\n<!-- figures of x: begin -->\nold\n<!-- figures of x: end -->\nb\n';
    const once = withBlock(document, 'x', 'new')!;
    assert.equal(once, 'a\n<!-- figures of x: begin -->\nnew\n<!-- figures of x: end -->\nb\n');
    assert.equal(withBlock(once, 'x', 'new'), once);
    assert.equal(withBlock(document, 'y', 'new'), undefined);
    assert.equal(withBlock('', 'x', 'new'), undefined);
  });
});
