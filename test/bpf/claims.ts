/** What frames say about addresses, as the reference model reads it: ARP, neighbour discovery, DHCP acknowledgements. */
import { type Address, addressFromBytes, type Mac, macFromBytes } from '../../lib/address.ts';
import { ETHERNET, type Packet, u16 } from './packet.ts';

/** An address is said to be somebody's; no address = the frame says nothing. */
export interface Claim {
  readonly mac: Mac;
  readonly address?: Address;
}

const macAt = (b: Uint8Array, at: number): Mac => macFromBytes(b.subarray(at, at + 6));
const isLinkLocal = (b: Uint8Array): boolean => Buffer.from(b.subarray(0, 8)).toString('hex') === 'fe80000000000000';

/** ARP, or a neighbour solicitation or advertisement without extension headers. */
export function isNeighbourFrame(f: Uint8Array): boolean {
  if (u16(f, 12) === 0x0806) return true;
  return u16(f, 12) === 0x86dd && f.length > 54 && f[20] === 58 && (f[54] === 135 || f[54] === 136);
}

/** The claim of such a frame, or the reason why it is refused. */
export function readNeighbour(f: Uint8Array): Claim | string {
  const mac = macAt(f, 6);
  if (u16(f, 12) === 0x0806) {
    if (f.length < 42) return 'TRUNCATED';
    if (!/^000108000604000[12]$/.test(Buffer.from(f.subarray(14, 22)).toString('hex'))) return 'ETHERTYPE';
    if (macAt(f, 22) !== mac) return 'SPOOFED_MAC';
    const address = addressFromBytes(f.subarray(28, 32));
    return address === '0.0.0.0' ? { mac } : { mac, address };
  }
  if (f.length < ETHERNET + 64) return 'TRUNCATED';
  if (f[14]! >> 4 !== 6 || f[21] !== 255 || f[55] !== 0) return 'NEIGHBOUR';
  const said = f[54] === 136 ? f.subarray(62, 78) : f.subarray(22, 38);
  return said.every((x) => x === 0) || isLinkLocal(said) ? { mac } : { mac, address: addressFromBytes(said) };
}

/** RFC 2131: UDP between the two ports of DHCP, in either direction. */
export function isDhcp(f: Uint8Array, p: Packet): boolean {
  if (p.family !== 4 || p.protocol !== 17 || p.header !== 20 || p.fragment || f.length < 38) return false;
  return [`${67} ${68}`, `${68} ${67}`].includes(`${u16(f, 34)} ${u16(f, 36)}`);
}

/** Whom a DHCP acknowledgement gives which address; undefined for every other packet. */
export function readAcknowledgement(f: Uint8Array, p: Packet): Required<Claim> | undefined {
  if (!isDhcp(f, p) || u16(f, 34) !== 67 || f.length < 282) return undefined;
  const dhcp = f.subarray(42);
  if (dhcp[0] !== 2 || dhcp[1] !== 1 || dhcp[2] !== 6) return undefined;
  if (Buffer.from(dhcp.subarray(236, 240)).toString('hex') !== '63825363') return undefined;
  const yours = addressFromBytes(dhcp.subarray(16, 20));
  if (yours === '0.0.0.0') return undefined;
  let at = 240;
  for (let n = 0; n < 8; n++) {
    if (at + 3 > dhcp.length || dhcp[at] === 255) return undefined;
    if (dhcp[at] === 53)
      return dhcp[at + 1] === 1 && dhcp[at + 2] === 5 ? { mac: macAt(dhcp, 28), address: yours } : undefined;
    at += dhcp[at] === 0 ? 1 : 2 + dhcp[at + 1]!;
  }
  return undefined;
}
