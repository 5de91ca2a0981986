/** What charon is told about an S2S interface, and the digest by which it is read back. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import type { S2sInterface } from '../../compartments/compartment.ts';
import {
  connectionResource,
  GIVE_UP_SECONDS,
  loadConn,
  loadShared,
  parseSharedId,
  RETRANSMIT,
  s2sConnection,
} from '../../vpn/s2s/connection.ts';
import { listOf, type Message, sectionsOf, textOf } from '../../vpn/vici/codec.ts';
import { address, CONTOSO, s2s } from './fixtures.ts';

const at = { slot: CONTOSO.slot, ifId: CONTOSO.ifId, localAddress: address('131.107.10.10') };
const key = Buffer.alloc(32, 7);

function parts(i: S2sInterface): { ike: Message; child: Message; local: Message; remote: Message } {
  const [[name, ike]] = sectionsOf(loadConn(i, at)) as [[string, Message]];
  const [[childName, child]] = sectionsOf(ike, 'children') as [[string, Message]];
  assert.equal(name, i.name);
  assert.equal(childName, i.name, 'charon matches child names over all connections');
  return { ike, child, local: ike.get('local') as Message, remote: ike.get('remote') as Message };
}

describe('S2S connection', () => {
  it('binds a fixed if_id, both addresses and both identities', () => {
    const { ike, child, local, remote } = parts(s2s());
    assert.equal(textOf(child, 'if_id_in'), String(CONTOSO.ifId));
    assert.equal(textOf(child, 'if_id_out'), String(CONTOSO.ifId));
    assert.deepEqual(listOf(ike, 'local_addrs'), ['131.107.10.10']);
    assert.deepEqual(listOf(ike, 'remote_addrs'), ['59.10.10.10']);
    assert.deepEqual([textOf(local, 'auth'), textOf(local, 'id')], ['psk', '131.107.10.10']);
    assert.deepEqual([textOf(remote, 'auth'), textOf(remote, 'id')], ['psk', '59.10.10.10']);
    assert.deepEqual(listOf(child, 'local_ts'), ['0.0.0.0/0', '::/0']);
    assert.deepEqual(listOf(child, 'remote_ts'), ['0.0.0.0/0', '::/0']);
  });

  it('never lets charon choose an if_id, start, trap or restart anything by itself', () => {
    const { ike, child } = parts(s2s());
    assert.ok(!inspect(loadConn(s2s(), at), { depth: 9 }).includes('%unique'));
    assert.equal(textOf(child, 'start_action'), 'none');
    assert.equal(textOf(child, 'close_action'), 'none');
    assert.equal(textOf(child, 'dpd_action'), 'clear');
    assert.equal(textOf(ike, 'mobike'), 'no');
    assert.equal(textOf(ike, 'version'), '2');
  });

  it('takes SourceIpAddress for address and identity', () => {
    const { ike, local } = parts(s2s({ sourceIpAddress: address('131.107.10.11') }));
    assert.deepEqual(listOf(ike, 'local_addrs'), ['131.107.10.11']);
    assert.equal(textOf(local, 'id'), '131.107.10.11');
  });

  it('keeps every SA within its life time', () => {
    const { ike, child } = parts(s2s({ saLifeTimeSeconds: 300, mmSaLifeTimeSeconds: 1000 }));
    assert.deepEqual([textOf(child, 'rekey_time'), textOf(child, 'life_time')], ['270', '300']);
    assert.deepEqual([textOf(ike, 'rekey_time'), textOf(ike, 'over_time')], ['900', '100']);
  });

  it('declares the peer dead within NetworkOutageTimeSeconds where the retransmissions leave room', () => {
    assert.equal(GIVE_UP_SECONDS, 8.125);
    const probe = (s: number) => Number(textOf(parts(s2s({ networkOutageTimeSeconds: s })).ike, 'dpd_delay'));
    for (const s of [12, 15, 30, 60, 900]) assert.ok(probe(s) >= 1 && probe(s) + GIVE_UP_SECONDS <= s, String(s));
    for (const s of [3, 6, 9]) assert.equal(probe(s), 1);
  });

  it("counts on the retransmissions that the appliance's strongswan.conf sets", () => {
    const conf = fs.readFileSync(path.resolve(import.meta.dirname, '../../image/charon/strongswan.conf'), 'utf8');
    const setting = (name: string) => Number(new RegExp(`^\\s*${name} = (\\S+)`, 'm').exec(conf)?.[1]);
    assert.deepEqual(
      {
        tries: setting('retransmit_tries'),
        timeoutSeconds: setting('retransmit_timeout'),
        base: setting('retransmit_base'),
      },
      RETRANSMIT,
    );
  });

  it('gives the secret an owner, and an id that carries the digest', () => {
    const c = s2sConnection(s2s(), at, key);
    const m = loadShared(c);
    assert.deepEqual(listOf(m, 'owners'), ['59.10.10.10']);
    assert.equal(textOf(m, 'type'), 'IKE');
    assert.equal(textOf(m, 'data'), 'correct horse battery staple');
    assert.deepEqual(parseSharedId(textOf(m, 'id')!), {
      name: 'IfCe1',
      digest: connectionResource(s2s(), at, key).spec.digest,
    });
  });

  it('changes the digest with everything that is loaded, and with the key', () => {
    const digest = (i: S2sInterface, p = at, k: Uint8Array = key) => connectionResource(i, p, k).spec.digest;
    const same = digest(s2s());
    assert.match(same, /^[0-9a-f]{16}$/);
    assert.equal(
      digest(s2s({ persistent: false, retryIntervalSeconds: 1 })),
      same,
      'what charon is not told does not count',
    );
    const others = [
      digest(s2s({ sharedSecret: { reveal: () => 'correct horse battery stapl' } })),
      digest(s2s({ destination: address('59.10.10.11') })),
      digest(s2s({ name: 'IfCe2' })),
      digest(s2s({ saLifeTimeSeconds: 7200 })),
      digest(s2s({ networkOutageTimeSeconds: 60 })),
      digest(s2s(), { ...at, ifId: at.ifId + 1 }),
      digest(s2s(), { ...at, localAddress: address('131.107.10.12') }),
      digest(s2s(), at, Buffer.alloc(32, 8)),
    ];
    assert.equal(new Set([same, ...others]).size, others.length + 1);
  });

  it('reads names with @ and refuses ids that are not ours', () => {
    assert.deepEqual(parseSharedId('a@b@0123456789abcdef'), { name: 'a@b', digest: '0123456789abcdef' });
    for (const id of ['IfCe1', 'IfCe1@', '@0123456789abcdef', 'IfCe1@0123456789ABCDEF', 'IfCe1@0123456789abcde'])
      assert.equal(parseSharedId(id), undefined, id);
  });
});
