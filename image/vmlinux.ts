/**
 * The kernel proper out of a bzImage (Linux' Documentation/arch/x86/boot.rst, protocol 2.08 and later), for the guest whose kernel
 * QEMU loads itself: by its PVH entry it starts at once, where a bzImage first unpacks itself on an emulated processor.
 */
import { zstdDecompressSync } from 'node:zlib';

const SECTOR = 512;
const SETUP_SECTORS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const ELF = 0x464c457f;
/** The payload ends with the size of what it unpacks to. */
const SIZE_BYTES = 4;

/** The ELF image, or undefined when it is not there as Debian packs it (zstd). */
export function vmlinuxOf(bzImage: Buffer): Buffer | undefined {
  if (bzImage.length < PAYLOAD_LENGTH + 4) return undefined;
  const protectedMode = ((bzImage[SETUP_SECTORS] || 4) + 1) * SECTOR;
  const begin = protectedMode + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  const end = begin + bzImage.readUInt32LE(PAYLOAD_LENGTH) - SIZE_BYTES;
  if (end > bzImage.length || end <= begin) return undefined;
  try {
    const kernel = zstdDecompressSync(bzImage.subarray(begin, end));
    return kernel.readUInt32LE(0) === ELF ? kernel : undefined;
  } catch {
    return undefined;
  }
}
