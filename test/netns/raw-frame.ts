/** Sends frames exactly as given from a device inside a namespace (packet(7)), and builds the tenants' IPv4 frames for it. */
import fs from 'node:fs';
import { internetChecksum } from '../../encap/nvgre.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { inNetns } from '../../kernel/netns.ts';
import { raw, sys } from '../../kernel/sys.ts';
import { type Address, addressBytes, type Mac, macBytes } from '../../lib/address.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCKADDR_LL = 20;

/** Protocol 0: the socket sends and receives nothing. */
export function sendFrames(nsPath: string, device: string, frames: readonly Uint8Array[]): void {
  const namespaces = new Namespaces({ home: nsPath });
  const index = namespaces.index('', device);
  namespaces.closeAll();
  const netns = fs.openSync(nsPath, 'r');
  try {
    inNetns(netns, () => {
      const fd = sys.socket(AF_PACKET, SOCK_RAW, 0);
      try {
        const address = Buffer.alloc(SOCKADDR_LL);
        address.writeUInt16LE(AF_PACKET, 0);
        address.writeInt32LE(index, 4);
        sys.bind(fd, address, address.length);
        for (const f of frames) sys.send(fd, f, f.length, 0);
      } finally {
        raw.close(fd);
      }
    });
  } finally {
    fs.closeSync(netns);
  }
}

export interface Ipv4Frame {
  readonly from: Mac;
  readonly to: Mac;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol?: number; // UDP
  readonly ttl?: number;
  readonly tos?: number;
  readonly payload?: Uint8Array; // after the IP header
  readonly etherType?: number;
}

/** An Ethernet frame with an IPv4 packet. */
export function ipv4Frame(f: Ipv4Frame): Uint8Array {
  const payload = f.payload ?? Buffer.from('00070007000c0000deadbeef', 'hex');
  const bytes = new Uint8Array(34 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(macBytes(f.to), 0);
  bytes.set(macBytes(f.from), 6);
  view.setUint16(12, f.etherType ?? 0x0800);
  view.setUint16(14, 0x4500 | (f.tos ?? 0));
  view.setUint16(16, 20 + payload.length);
  view.setUint8(22, f.ttl ?? 64);
  view.setUint8(23, f.protocol ?? 17);
  bytes.set(addressBytes(f.source), 26);
  bytes.set(addressBytes(f.destination), 30);
  view.setUint16(24, internetChecksum(bytes.subarray(14, 34)));
  bytes.set(payload, 34);
  return bytes;
}
