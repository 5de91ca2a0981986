import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import type { Address } from '../../lib/address.ts';
import { macBytes } from '../../lib/address.ts';
import { NAT, natMac, slotOfNatEntry } from '../../nat/abi.ts';
import { u32 } from '../../nat/layout.ts';

const root = path.resolve(import.meta.dirname, '../..');

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly members?: readonly { readonly name: string; readonly bits_offset: number }[];
}

describe('nat/abi', () => {
  it('has the layout that the compiler gave bpf/nat-abi.h', function () {
    this.timeout(60_000);
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    const dump = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', path.join(root, 'dist/bpf/nat.bpf.o')]);
    const types = (JSON.parse(dump.toString()) as { types: readonly BtfType[] }).types;
    for (const layout of Object.values(NAT)) {
      const type = types.find((t) => t.kind === 'STRUCT' && t.name === layout.struct);
      assert.ok(type?.members, layout.struct);
      assert.equal(type.size, layout.size, `size of ${layout.struct}`);
      assert.deepEqual(
        Object.fromEntries(type.members.map((m) => [m.name, m.bits_offset / 8])),
        layout.offset,
        layout.struct,
      );
    }
  });

  it('gives back what it encodes', () => {
    const rule = {
      network: '65.10.10.0' as Address,
      mask: '255.255.255.0' as Address,
      action: 1,
      set: 2,
      pools: 2,
      pool: [3, 0xffff, 0, 0, 0, 0, 0, 0],
    };
    assert.deepEqual(NAT.rule.decode(NAT.rule.encode(rule)), rule);
    const key = {
      rdid: 2,
      source: '10.0.0.10' as Address,
      destination: '65.10.10.10' as Address,
      source_port: 5001,
      destination_port: 80,
      protocol: 6,
    };
    assert.deepEqual(NAT.flowKey.decode(NAT.flowKey.encode(key)), key);
    assert.equal(Buffer.from(NAT.flowKey.encode(key)).toString('hex'), '020000000a00000a410a0a0a1389005006000000');
  });

  it("sorts entries by tenant, and tells a tenant by its nat0's MAC", () => {
    const key = u32Bytes(7);
    assert.equal(slotOfNatEntry('tenants', key, new Uint8Array(56)), 7);
    assert.equal(slotOfNatEntry('statics', new Uint8Array(12), u32Bytes(9)), 9);
    assert.equal(slotOfNatEntry('pools', key, new Uint8Array(36)), DEFAULT_SLOT);
    assert.deepEqual([...macBytes(natMac(0x1234))], [2, 0x48, 0x4e, 0x41, 0x12, 0x34]);
  });
});

function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  u32.put(new DataView(bytes.buffer), 0, value);
  return bytes;
}
