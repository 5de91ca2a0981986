/** The kernel proper is found in a bzImage; what is none gives undefined, whatever its bytes. */
import assert from 'node:assert/strict';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { vmlinuxOf } from '../../image/vmlinux.ts';

const SETUP_SECTORS = 3;

/** A bzImage around a payload, which its size follows. */
function bzImage(payload: Buffer): Buffer {
  const offset = 100;
  const image = Buffer.alloc((SETUP_SECTORS + 1) * 512 + offset + payload.length + 4);
  image[0x1f1] = SETUP_SECTORS;
  image.writeUInt32LE(offset, 0x248);
  image.writeUInt32LE(payload.length + 4, 0x24c);
  payload.copy(image, (SETUP_SECTORS + 1) * 512 + offset);
  return image;
}

describe('image/vmlinux', () => {
  const kernel = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(5000, 7)]);
  it('unpacks the ELF image', () => assert.deepEqual(vmlinuxOf(bzImage(zstdCompressSync(kernel))), kernel));
  it('takes nothing that is not zstd, not ELF or cut short', () => {
    assert.equal(vmlinuxOf(bzImage(kernel)), undefined);
    assert.equal(vmlinuxOf(bzImage(zstdCompressSync(Buffer.alloc(100)))), undefined);
    assert.equal(vmlinuxOf(bzImage(zstdCompressSync(Buffer.alloc(2)))), undefined);
    assert.equal(vmlinuxOf(bzImage(zstdCompressSync(kernel)).subarray(0, 2100)), undefined);
  });
  it('never throws', () =>
    fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), (b) => vmlinuxOf(Buffer.from(b)) === undefined)));
});
