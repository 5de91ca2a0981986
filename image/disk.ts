/**
 * File systems and disks written straight into files: no loop device, no mount, no partitioning tool.
 */
import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

const SECTOR = 512;
const FIRST_SECTOR = 2048; // where the partition begins; GRUB's core lives in the gap before it
const GRUB = '/usr/lib/grub/i386-pc';
const GRUB_MODULES = ['biosdisk', 'part_msdos', 'ext2', 'linux', 'boot'];

export interface Ext4 {
  readonly tree: string; // directory whose contents become the file system's
  readonly label: string;
  readonly bytes: number;
  readonly offset?: number; // in the file, bytes
}

/** Makes (or makes anew) an ext4 file system in a sparse file. */
export async function makeExt4(file: string, { tree, label, bytes, offset = 0 }: Ext4): Promise<void> {
  rmSync(file, { force: true });
  closeSync(openSync(file, 'w'));
  truncateSync(file, offset + bytes);
  // GRUB 2.06 reads neither of the two features that e2fsprogs 1.47 turns on by default.
  const features = '^metadata_csum_seed,^orphan_file';
  const where = offset > 0 ? ['-E', `offset=${offset}`] : [];
  const args = [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-L',
    label,
    '-m',
    '1',
    '-O',
    features,
    ...where,
    '-d',
    tree,
    file,
    `${bytes / 1024}k`,
  ];
  await run('mke2fs', args);
}

/** The 16 bytes of the only entry of a PC partition table: active, Linux, the rest of the disk. Addresses by LBA only. */
function partition(sectors: number): Buffer {
  const entry = Buffer.from([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  entry.writeUInt32LE(FIRST_SECTOR, 8);
  entry.writeUInt32LE(sectors, 12);
  return entry;
}

/**
 * A disk that a PC BIOS boots: GRUB's boot sector, its core in the sectors after it (where the boot sector as it ships looks
 * for it), and one partition with the tree. Returns the core's size in bytes.
 */
export async function makeBootDisk(file: string, grubConfig: string, root: Omit<Ext4, 'offset'>): Promise<void> {
  await makeExt4(file, { ...root, offset: FIRST_SECTOR * SECTOR });
  const core = `${file}.core`;
  await run('grub-mkimage', [
    '-O',
    'i386-pc',
    '-d',
    GRUB,
    '-p',
    '/boot/grub',
    '-c',
    grubConfig,
    '-o',
    core,
    ...GRUB_MODULES,
  ]);
  const coreImage = readFileSync(core);
  rmSync(core);
  if (coreImage.length > (FIRST_SECTOR - 1) * SECTOR) throw new Error('GRUB does not fit before the first partition');
  const boot = readFileSync(join(GRUB, 'boot.img')).subarray(0, 440);
  const disk = openSync(file, 'r+');
  try {
    writeSync(disk, boot, 0, boot.length, 0);
    writeSync(disk, partition(root.bytes / SECTOR), 0, 16, 446);
    writeSync(disk, Buffer.from([0x55, 0xaa]), 0, 2, 510);
    writeSync(disk, coreImage, 0, coreImage.length, SECTOR);
  } finally {
    closeSync(disk);
  }
}
