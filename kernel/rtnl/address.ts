/** Interface addresses: RTM_NEWADDR and its relatives (rtnetlink(7), linux/if_addr.h). Pure. */
import { type Address, addressBytes, addressFromBytes, type Family, familyOf } from '../../lib/address.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { type Batch, NLM_F, parseBody, readU8, u8 } from './message.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_PROTO = 11;
const IFA_F_NODAD = 2;
const IFADDRMSG = 8;

export const AF: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };

export interface InterfaceAddress {
  readonly index: number; // of the link
  readonly address: Address;
  readonly prefixLength: number;
  readonly protocol: number; // IFA_PROTO, 0 = unset
}

function addressHeader(family: Family, prefixLength: number, flags: number, index: number): Buffer {
  const b = Buffer.alloc(IFADDRMSG);
  b[0] = AF[family];
  b[1] = prefixLength;
  b[2] = flags;
  b.writeInt32LE(index, 4);
  return b;
}

/** Header of a dump of one family, of one link or (0) of all. */
export const dumpAddresses = (family: Family, index = 0): Buffer => addressHeader(family, 0, 0, index);

/** Fails with EEXIST when the link has the address. No duplicate detection: what we assign is ours by configuration. */
export function createAddress(batch: Batch, a: InterfaceAddress): Batch {
  const family = familyOf(a.address);
  const bytes = addressBytes(a.address);
  return batch.add(
    RTM_NEWADDR,
    NLM_F.CREATE | NLM_F.EXCL,
    addressHeader(family, a.prefixLength, family === 6 ? IFA_F_NODAD : 0, a.index),
    [
      [IFA_LOCAL, bytes],
      [IFA_ADDRESS, bytes],
      [IFA_PROTO, u8(a.protocol)],
    ],
  );
}

export const deleteAddress = (batch: Batch, a: Omit<InterfaceAddress, 'protocol'>): Batch =>
  batch.add(RTM_DELADDR, 0, addressHeader(familyOf(a.address), a.prefixLength, 0, a.index), [
    [IFA_LOCAL, addressBytes(a.address)],
  ]);

/** Payload of RTM_NEWADDR. */
export function parseInterfaceAddress(payload: Buffer): Result<InterfaceAddress, string> {
  const body = parseBody(payload, IFADDRMSG);
  if (!body.ok) return body;
  const { header, attributes } = body.value;
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (bytes?.length !== (header[0] === AF[4] ? 4 : 16)) return err('netlink: address of a wrong length');
  return ok({
    index: header.readInt32LE(4),
    address: addressFromBytes(bytes),
    prefixLength: header[1]!,
    protocol: readU8(attributes, IFA_PROTO) ?? 0,
  });
}
