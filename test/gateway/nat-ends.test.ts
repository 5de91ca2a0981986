import assert from 'node:assert/strict';
import type { Op, Resource } from '../../compartments/resource.ts';
import { endsOf, withoutPools } from '../../gateway/nat-ends.ts';
import type { Address } from '../../lib/address.ts';
import { KIND, NAT, type NatPolicy, type NatStatic, RULE } from '../../nat/abi.ts';

const ip = (text: string) => text as Address;
const hex = (b: Uint8Array) => Buffer.from(b).toString('hex');
const number = (n: number) => {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
};
const entry = (map: string, key: Uint8Array, value: Uint8Array): Resource<'entry'> => ({
  kind: 'entry',
  key: `${map} ${hex(key)}`,
  slot: 1,
  spec: { map, key: hex(key), value: hex(value) },
});
const op = (verb: Op['verb'], resource: Resource<'entry'>, from?: Resource<'entry'>): Op => ({
  verb,
  resource,
  impact: 'flow',
  ...(from && { from }),
});
const pool = (blocks: number, first_block = 0) =>
  entry(
    'pools',
    number(7),
    NAT.pool.encode({
      address: ip('131.107.10.10'),
      device: 2,
      network: ip('131.107.10.0'),
      mask: ip('255.255.255.0'),
      gateway: ip('131.107.10.1'),
      first_block,
      blocks,
      port_start: 9000,
      block_ports: 512,
      next: 0,
    }),
  );
const policy = (...pools: number[]): NatPolicy => ({
  rules: 1,
  rule: [{ network: ip('0.0.0.0'), mask: ip('0.0.0.0'), action: RULE.pool, set: 0, pools: pools.length, pool: pools }],
});
const mapping = (value: Partial<NatStatic>) =>
  entry(
    'statics',
    NAT.staticKey.encode({ rdid: 0, address: ip('131.107.10.10'), port: 8080, protocol: 6 }),
    NAT.static.encode({
      rdid: 2,
      address: ip('10.0.0.10'),
      port: 80,
      pool: 7,
      kind: KIND.static,
      flags: 0,
      service: 0,
      remote: ip('0.0.0.0'),
      remote_mask: ip('0.0.0.0'),
      ...value,
    }),
  );
const NONE = { pools: [], hosts: [] };
const dips = () => [ip('10.0.0.21'), ip('10.0.0.22')];

describe('what ends in the NAT when its entries change', () => {
  it('is nothing for what is new, or for a pool that grows', () => {
    assert.deepEqual(endsOf([op('create', pool(4))], dips), NONE);
    assert.deepEqual(endsOf([op('update', pool(8), pool(4))], dips), NONE);
  });

  it('is a pool that goes, shrinks or has other blocks', () => {
    for (const change of [op('delete', pool(4)), op('update', pool(2), pool(4)), op('update', pool(4, 9), pool(4))])
      assert.deepEqual(endsOf([change], dips), { pools: [7], hosts: [] });
  });

  it('is a tenant whose choice loses a pool', () => {
    const of = (p: NatPolicy) => entry('policies', number(2), NAT.policy.encode(p));
    assert.deepEqual(endsOf([op('update', of(policy(7, 8)), of(policy(7)))], dips), NONE);
    assert.deepEqual(endsOf([op('update', of(policy(7)), of(policy(7, 8)))], dips), {
      pools: [],
      hosts: [{ slot: 2 }],
    });
  });

  it('is the host of a static mapping that goes or leads elsewhere, and the DIPs of a service', () => {
    const hosts = [{ slot: 2, address: ip('10.0.0.10') }];
    assert.deepEqual(endsOf([op('delete', mapping({}))], dips).hosts, hosts);
    assert.deepEqual(endsOf([op('update', mapping({ rdid: 3 }), mapping({}))], dips).hosts, hosts);
    assert.deepEqual(endsOf([op('update', mapping({ remote_mask: ip('255.0.0.0') }), mapping({}))], dips), NONE);
    const vip = mapping({ kind: KIND.vip, address: ip('0.0.0.0'), port: 0 });
    assert.deepEqual(
      endsOf([op('delete', vip)], dips).hosts,
      dips().map((address) => ({ slot: 2, address })),
    );
  });

  it('no policy names a pool that is being emptied', () => {
    assert.equal(withoutPools(policy(7, 8), new Set([9])), undefined);
    assert.deepEqual(withoutPools(policy(7, 8), new Set([7]))?.rule[0]?.pool, [8]);
    assert.equal(withoutPools(policy(7), new Set([7]))?.rule[0]?.action, RULE.drop);
  });
});
