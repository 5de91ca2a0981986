/** A UDP datagram as fragments (RFC 791), for tests that send them in an order of their own. */
import { internetChecksum } from '../../encap/nvgre.ts';
import { type Address, addressBytes, type Mac } from '../../lib/address.ts';
import { ipv4Frame } from './raw-frame.ts';

export interface Datagram {
  readonly from: Mac;
  readonly to: Mac;
  readonly source: readonly [address: string, port: number];
  readonly destination: readonly [address: string, port: number];
  readonly id: number;
  /** False = UDP's checksum is 0: there is none. */
  readonly checksum: boolean;
  readonly data: Uint8Array;
}

const PIECE = 1200; // a multiple of 8
const MORE = 0x2000;

/** Frames, the first fragment first. */
export function datagramFragments(d: Datagram): readonly Uint8Array[] {
  const [source, destination] = [d.source[0] as Address, d.destination[0] as Address];
  const udp = new Uint8Array(8 + d.data.length);
  const head = new DataView(udp.buffer);
  head.setUint16(0, d.source[1]);
  head.setUint16(2, d.destination[1]);
  head.setUint16(4, udp.length);
  udp.set(d.data, 8);
  if (d.checksum) {
    const pseudo = [...addressBytes(source), ...addressBytes(destination), 0, 17, udp.length >> 8, udp.length & 255];
    head.setUint16(6, internetChecksum(Uint8Array.from([...pseudo, ...udp])) || 0xffff);
  }
  const frames: Uint8Array[] = [];
  for (let at = 0; at < udp.length; at += PIECE) {
    const frame = ipv4Frame({ from: d.from, to: d.to, source, destination, payload: udp.subarray(at, at + PIECE) });
    const ip = new DataView(frame.buffer, frame.byteOffset + 14, 20);
    ip.setUint16(4, d.id);
    ip.setUint16(6, (at + PIECE < udp.length ? MORE : 0) | (at / 8));
    ip.setUint16(10, 0);
    ip.setUint16(10, internetChecksum(frame.subarray(14, 34)));
    frames.push(frame);
  }
  return frames;
}
