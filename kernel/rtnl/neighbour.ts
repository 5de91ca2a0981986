/** Neighbours (ARP, ND): RTM_NEWNEIGH (rtnetlink(7), linux/neighbour.h). Pure; only read, for people. */
import { type Address, addressFromBytes, type Mac, macFromBytes } from '../../lib/address.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { parseBody } from './message.ts';

export const RTM_GETNEIGH = 30;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDMSG = 12;

const STATES = [
  [0x01, 'Incomplete'],
  [0x02, 'Reachable'],
  [0x04, 'Stale'],
  [0x08, 'Delay'],
  [0x10, 'Probe'],
  [0x20, 'Unreachable'],
  [0x40, 'NoArp'],
  [0x80, 'Permanent'],
] as const;
/** As Get-NetNeighbor prints them; NUD_FAILED is its Unreachable. */
export type NeighbourState = (typeof STATES)[number][1];

export interface Neighbour {
  readonly index: number; // of the link
  readonly address: Address;
  readonly mac?: Mac; // absent while unresolved
  readonly state: NeighbourState;
}

export const dumpNeighbours = (): Buffer => Buffer.alloc(NDMSG);

/** Payload of RTM_NEWNEIGH. */
export function parseNeighbour(payload: Buffer): Result<Neighbour, string> {
  const body = parseBody(payload, NDMSG);
  if (!body.ok) return body;
  const { header, attributes } = body.value;
  const address = attributes.get(NDA_DST);
  if (address?.length !== 4 && address?.length !== 16) return err('netlink: neighbour without an address');
  const mac = attributes.get(NDA_LLADDR);
  const state = header.readUInt16LE(8);
  return ok({
    index: header.readInt32LE(4),
    address: addressFromBytes(address),
    ...(mac?.length === 6 && { mac: macFromBytes(mac) }),
    state: STATES.find(([bit]) => state & bit)?.[1] ?? 'Incomplete',
  });
}
