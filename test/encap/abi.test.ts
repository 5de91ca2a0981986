import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import fc from 'fast-check';
import * as abi from '../../encap/abi.ts';
import type { Address, Mac } from '../../lib/address.ts';
import { addressFromBytes, macFromBytes } from '../../lib/address.ts';
import { prefixOf } from '../../lib/prefix.ts';

const root = path.resolve(import.meta.dirname, '../..');

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: readonly { readonly name: string; readonly bits_offset: number }[];
}

const STRUCTS: Readonly<Record<keyof typeof abi.OFFSET, string>> = {
  port: 'hnv_port',
  location: 'hnv_location',
  route: 'hnv_route',
  recordKey: 'hnv_record_key',
  macKey: 'hnv_mac_key',
  routeKey: 'hnv_route_key',
  tunnelKey: 'hnv_tunnel_key',
  tunnel: 'hnv_tunnel',
  vsid: 'hnv_vsid',
  replicaKey: 'hnv_replica_key',
  dropKey: 'hnv_drop_key',
  drops: 'hnv_drops',
  event: 'hnv_event',
};

const address: fc.Arbitrary<Address> = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(addressFromBytes);
const mac: fc.Arbitrary<Mac> = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const vsid = fc.integer({ min: 4096, max: 16777214 });
const location: fc.Arbitrary<abi.Location> = fc.record(
  {
    rdid: u32,
    vsid,
    port: u32,
    uplink: u32,
    flags: u32,
    mtu: u16,
    mac,
    destination: address,
    source: address,
    nextHop: address,
  },
  { noNullPrototype: true },
);

describe('encap/abi', () => {
  it('has the layout that the compiler gave bpf/abi.h', function () {
    this.timeout(180_000);
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    const dump = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', path.join(root, 'dist/bpf/overlay.bpf.o')]);
    const types = (JSON.parse(dump.toString()) as { types: readonly BtfType[] }).types;
    for (const [name, struct] of Object.entries(STRUCTS) as [keyof typeof abi.OFFSET, string][]) {
      const type = types.find((t) => t.kind === 'STRUCT' && t.name === struct);
      assert.ok(type?.members, struct);
      assert.equal(type.size, abi.SIZE[name], `size of ${struct}`);
      assert.deepEqual(
        Object.fromEntries(type.members.map((m) => [m.name, m.bits_offset / 8])),
        abi.OFFSET[name],
        struct,
      );
    }
  });

  it('gives back what it encodes', () => {
    const port = fc.record({ rdid: u32, vsid, flags: u32, mtu: u16, mac, address }, { noNullPrototype: true });
    fc.assert(fc.property(port, (p) => assert.deepEqual(abi.decodePort(abi.encodePort(p)), p)));
    fc.assert(fc.property(location, (l) => assert.deepEqual(abi.decodeLocation(abi.encodeLocation(l)), l)));
    fc.assert(
      fc.property(vsid, address, location, (v, router, via) => {
        const routes = [{ flags: 0, vsid: v, router } as abi.Route, { flags: abi.ROUTE_VIA, vsid: v, router, via }];
        for (const r of routes) assert.deepEqual(abi.decodeRoute(abi.encodeRoute(r)), r);
      }),
    );
    fc.assert(
      fc.property(u32, vsid, address, address, mac, (rdid, v, a, b, m) => {
        assert.deepEqual(abi.decodeRecordKey(abi.encodeRecordKey(rdid, a)), { rdid, address: a });
        assert.deepEqual(abi.decodeMacKey(abi.encodeMacKey(v, m)), { vsid: v, mac: m });
        assert.deepEqual(abi.decodeTunnelKey(abi.encodeTunnelKey(v, a, b)), { vsid: v, source: a, destination: b });
        assert.deepEqual(abi.decodeTunnel(abi.encodeTunnel({ rdid, flags: v })), { rdid, flags: v });
        assert.deepEqual(abi.decodeSubnet(abi.encodeSubnet({ rdid, flags: v })), { rdid, flags: v });
        assert.deepEqual(abi.decodeReplicaKey(abi.encodeReplicaKey(v, rdid)), { vsid: v, index: rdid });
        const reason = v & 0xffff;
        for (const direction of ['port', 'wire'] as const)
          assert.deepEqual(abi.decodeDropKey(abi.encodeDropKey(rdid, reason, direction)), { rdid, reason, direction });
      }),
    );
  });

  it('gives back the prefixes of routes, IPv4 and IPv6', () => {
    fc.assert(
      fc.property(u32, address, fc.integer({ min: 0, max: 128 }), (rdid, a, length) => {
        const prefix = prefixOf(a, a.includes(':') ? length : Math.min(length, 32));
        // ::ffff:0:0/96 is how IPv4 is written in the maps; an IPv6 prefix inside it cannot be told from IPv4.
        fc.pre(!prefix.startsWith('::ffff:'));
        assert.deepEqual(abi.decodeRouteKey(abi.encodeRouteKey(rdid, prefix)), { rdid, prefix });
      }),
    );
  });

  it('sums drop counters over the CPUs', () => {
    const perCpu = new Uint8Array(32);
    const view = new DataView(perCpu.buffer);
    for (const [i, n] of [2n, 120n, 3n, 180n].entries()) view.setBigUint64(8 * i, n, true);
    assert.deepEqual(abi.decodeDrops(perCpu), { packets: 5, bytes: 300 });
  });
});
