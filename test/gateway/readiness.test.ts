/** What the service manager is told, and when. */
import assert from 'node:assert/strict';
import { Readiness } from '../../gateway/readiness.ts';
import { type Status, statusLine } from '../../gateway/settled.ts';

const settled: Status = { file: '/etc/gateway.yaml', settled: true, unsettled: [], notes: [] };
const failed: Status = {
  ...settled,
  settled: false,
  unsettled: [{ op: 'create address', routingDomain: 'Contoso', error: 'EINVAL' }],
};

describe('readiness', () => {
  function bench(status: Status) {
    const sent: string[] = [];
    const now = { status };
    const readiness = new Readiness({
      service: { ready: (s) => sent.push(`READY ${s}`), status: (s) => sent.push(s) },
      status: () => now.status,
      settled: () => sent.push('(settled)'),
    });
    return { sent, now, readiness };
  }

  it('is told though a tenant is not there yet, and the status follows when it is', () => {
    const { sent, now, readiness } = bench(failed);
    readiness.changed();
    assert.deepEqual(sent, [], 'nothing before READY');
    readiness.ready('');
    const missing = 'configured by /etc/gateway.yaml; NOT all of it is there: Contoso (create address: EINVAL)';
    assert.deepEqual(sent, [`READY ${missing}`]);
    readiness.changed();
    now.status = settled;
    for (let i = 0; i < 3; i++) readiness.changed();
    now.status = failed;
    readiness.changed();
    now.status = settled;
    readiness.changed();
    const all = 'configured by /etc/gateway.yaml';
    assert.deepEqual(sent.slice(1), ['(settled)', all, missing, all], 'once each, settled for the first time only');
  });

  it('is told without a configuration too: only then can one be applied', () => {
    const { sent, now, readiness } = bench({ ...settled, file: '', settled: false });
    readiness.ready('waits for a configuration');
    now.status = settled;
    readiness.changed();
    assert.deepEqual(sent, ['READY waits for a configuration', '(settled)', 'configured by /etc/gateway.yaml']);
  });

  it('names a few tenants of many, and notes', () => {
    const unsettled = Array.from({ length: 9 }, (_, i) => ({ op: 'op', routingDomain: i ? `T${i}` : '', error: 'e' }));
    assert.equal(
      statusLine({ ...failed, unsettled, notes: ['charon does not answer'] }),
      'configured by /etc/gateway.yaml; NOT all of it is there: the gateway itself, T1, T2, T3, T4 … (op: e); charon does not answer',
    );
  });
});
