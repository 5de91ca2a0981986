/** Two TUN devices (Linux tuntap.rst) whose packets this process carries between them: a device that no frame reaches unsegmented. */
import fs from 'node:fs';
import koffi from 'koffi';
import { inNetns } from '../../kernel/netns.ts';
import type { World } from './world.ts';

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 1;
const IFF_NO_PI = 0x1000;
const IFREQ = 40;
const LONGEST = 65_536;

const libc = koffi.load('libc.so.6');
const ioctl = libc.func('int ioctl(int fd, ulong request, void *argument)');

function open(nsPath: string, name: string): number {
  const netns = fs.openSync(nsPath, 'r');
  try {
    return inNetns(netns, () => {
      const fd = fs.openSync('/dev/net/tun', 'r+');
      const request = Buffer.alloc(IFREQ);
      request.write(name, 'latin1');
      request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
      if (ioctl(fd, TUNSETIFF, request) !== 0) throw new Error(`TUNSETIFF ${name}`);
      return fd;
    });
  } finally {
    fs.closeSync(netns);
  }
}

/** Until the devices are deleted, which both ends must be before the world closes; resolves then with the longest packet. */
export function tunPair(
  world: World,
  ends: readonly [readonly [ns: string, name: string], readonly [ns: string, name: string]],
  mtu: number,
): Promise<number> {
  const [one, two] = ends.map(([ns, name]) => open(world.nsPath(ns), name)) as [number, number];
  for (const [ns, name] of ends) world.sh(ns, `ip link set ${name} mtu ${mtu} up`);
  let longest = 0;
  const carry = async (from: number, to: number): Promise<void> => {
    const packet = Buffer.alloc(LONGEST);
    for (;;) {
      const length = await new Promise<number>((resolve) =>
        fs.read(from, packet, 0, LONGEST, null, (e, n) => resolve(e ? 0 : n)),
      );
      if (length === 0) return;
      longest = Math.max(longest, length);
      try {
        fs.writeSync(to, packet, 0, length);
      } catch {
        return; // the other device is gone
      }
    }
  };
  return Promise.all([carry(one, two), carry(two, one)]).then(() => {
    fs.closeSync(one);
    fs.closeSync(two);
    return longest;
  });
}
