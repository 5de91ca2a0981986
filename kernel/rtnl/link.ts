/** Links: RTM_NEWLINK and its relatives (rtnetlink(7), linux/if_link.h). Pure. */
import { type Mac, macBytes, macFromBytes } from '../../lib/address.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import {
  type Attribute,
  type Attributes,
  type Batch,
  encodeAttributes,
  NLM_F,
  nested,
  parseBody,
  readString,
  readU8,
  readU32,
  u8,
} from './message.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  LINKINFO: 18,
  IFALIAS: 20,
  STATS64: 23,
  AF_SPEC: 26,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  CARRIER: 33,
  LINK_NETNSID: 37,
} as const;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_XFRM_IF_ID = 2;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const RTEXT_FILTER_SKIP_STATS = 8;
const AF_INET6 = 10;
const IFF_UP = 1;
const IFF_NOARP = 0x80;
const IFINFOMSG = 16;

/** struct rtnl_link_stats64, the part that operators look at. */
export interface LinkCounters {
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean; // administrative state
  readonly carrier: boolean;
  readonly noArp?: true;
  readonly mtu: number;
  readonly mac?: Mac;
  readonly alias?: string;
  readonly kind?: string; // 'veth', 'xfrm', …; absent for a NIC
  /** IFLA_LINK: of a veth the index of its other end. */
  readonly peerIndex?: number;
  /** Present when the other end is in another namespace. */
  readonly peerNetnsId?: number;
  readonly xfrmIfId?: number;
  readonly counters?: LinkCounters;
}

/** struct ifinfomsg; a flag that is undefined is left alone. */
export function linkHeader(index = 0, up?: boolean, noArp?: boolean): Buffer {
  const b = Buffer.alloc(IFINFOMSG);
  b.writeInt32LE(index, 4);
  b.writeUInt32LE((up ? IFF_UP : 0) | (noArp ? IFF_NOARP : 0), 8);
  b.writeUInt32LE((up === undefined ? 0 : IFF_UP) | (noArp === undefined ? 0 : IFF_NOARP), 12);
  return b;
}

/** Which link a request is about. Indexes are of the socket's namespace. */
export type LinkSelector = number | string;
const selected = (link: LinkSelector, up?: boolean, noArp?: boolean): Buffer =>
  linkHeader(typeof link === 'number' ? link : 0, up, noArp);
const nameOf = (link: LinkSelector): Attribute[] => (typeof link === 'number' ? [] : [[IFLA.IFNAME, link]]);

/** Body of RTM_GETLINK for one link; counters only when asked for, they are most of the answer. */
export const getLink = (link: LinkSelector): { header: Buffer; attributes: readonly Attribute[] } => ({
  header: selected(link),
  attributes: [...nameOf(link), [IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS]],
});
export const dumpLinks = (counters: boolean): { header: Buffer; attributes: readonly Attribute[] } => ({
  header: linkHeader(),
  attributes: counters ? [] : [[IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS]],
});

export interface LinkChange {
  readonly up?: boolean;
  /** Every next hop has the link's own MAC, and nobody is asked for it. */
  readonly noArp?: boolean;
  readonly mtu?: number;
  readonly mac?: Mac;
  readonly alias?: string;
  /** Only with a link selected by index: by name, the name selects. */
  readonly name?: string;
  /** Moves the link; the kernel does this first and the rest of the change in the new namespace. */
  readonly netnsFd?: number;
}

export function setLink(batch: Batch, link: LinkSelector, change: LinkChange): Batch {
  const attributes: Attribute[] = nameOf(link);
  if (change.netnsFd !== undefined) attributes.push([IFLA.NET_NS_FD, change.netnsFd]);
  if (change.name !== undefined) attributes.push([IFLA.IFNAME, change.name]);
  if (change.mac !== undefined) attributes.push([IFLA.ADDRESS, macBytes(change.mac)]);
  if (change.mtu !== undefined) attributes.push([IFLA.MTU, change.mtu]);
  if (change.alias !== undefined) attributes.push([IFLA.IFALIAS, Buffer.from(change.alias)]);
  return batch.add(RTM_SETLINK, 0, selected(link, change.up, change.noArp), attributes);
}

/** The link gets no link-local address and sends no router solicitation. */
export const disableAddressGeneration = (batch: Batch, link: LinkSelector): Batch =>
  batch.add(RTM_SETLINK, 0, selected(link), [
    ...nameOf(link),
    [IFLA.AF_SPEC, [[AF_INET6, [[IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE)]]]]],
  ]);

export const deleteLink = (batch: Batch, link: LinkSelector): Batch =>
  batch.add(RTM_DELLINK, 0, selected(link), nameOf(link));

/**
 * A veth pair, both ends down, the peer in another namespace. The peer must be set up from there: the kernel refuses IFF_UP on
 * it here (ENOTCONN).
 */
export function createVeth(
  batch: Batch,
  end: { readonly name: string; readonly mtu: number; readonly mac?: Mac },
  peer: { readonly name: string; readonly mtu: number; readonly mac: Mac; readonly netnsFd: number },
): Batch {
  const peerLink = Buffer.concat([
    linkHeader(),
    encodeAttributes([
      [IFLA.IFNAME, peer.name],
      [IFLA.NET_NS_FD, peer.netnsFd],
      [IFLA.ADDRESS, macBytes(peer.mac)],
      [IFLA.MTU, peer.mtu],
    ]),
  ]);
  return batch.add(RTM_NEWLINK, NLM_F.CREATE | NLM_F.EXCL, linkHeader(), [
    [IFLA.IFNAME, end.name],
    [IFLA.MTU, end.mtu],
    ...(end.mac ? [[IFLA.ADDRESS, macBytes(end.mac)] as const] : []),
    [
      IFLA.LINKINFO,
      [
        [IFLA_INFO_KIND, 'veth'],
        [IFLA_INFO_DATA, [[VETH_INFO_PEER, peerLink]]],
      ],
    ],
  ]);
}

/** No parent device (IFLA_XFRM_LINK): the route of the outer packet decides. */
export const createXfrm = (batch: Batch, name: string, ifId: number): Batch =>
  batch.add(RTM_NEWLINK, NLM_F.CREATE | NLM_F.EXCL, linkHeader(), [
    [IFLA.IFNAME, name],
    [
      IFLA.LINKINFO,
      [
        [IFLA_INFO_KIND, 'xfrm'],
        [IFLA_INFO_DATA, [[IFLA_XFRM_IF_ID, ifId]]],
      ],
    ],
  ]);

function parseCounters(attributes: Attributes): LinkCounters | undefined {
  const b = attributes.get(IFLA.STATS64);
  if (!b || b.length < 64) return undefined;
  const at = (i: number) => b.readBigUInt64LE(8 * i);
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
}

/** Payload of RTM_NEWLINK. */
export function parseLink(payload: Buffer): Result<Link, string> {
  const body = parseBody(payload, IFINFOMSG);
  if (!body.ok) return body;
  const { header, attributes } = body.value;
  const name = readString(attributes, IFLA.IFNAME);
  if (!name) return err('netlink: link without a name');
  const info = nested(attributes, IFLA.LINKINFO);
  const kind = readString(info, IFLA_INFO_KIND);
  const mac = attributes.get(IFLA.ADDRESS);
  const alias = readString(attributes, IFLA.IFALIAS);
  const peerIndex = readU32(attributes, IFLA.LINK);
  const peerNetnsId = readU32(attributes, IFLA.LINK_NETNSID);
  const xfrmIfId = kind === 'xfrm' ? readU32(nested(info, IFLA_INFO_DATA), IFLA_XFRM_IF_ID) : undefined;
  const counters = parseCounters(attributes);
  return ok({
    index: header.readInt32LE(4),
    name,
    up: (header.readUInt32LE(8) & IFF_UP) !== 0,
    carrier: readU8(attributes, IFLA.CARRIER) === 1,
    ...(header.readUInt32LE(8) & IFF_NOARP && { noArp: true as const }),
    mtu: readU32(attributes, IFLA.MTU) ?? 0,
    ...(mac?.length === 6 && { mac: macFromBytes(mac) }),
    ...(alias !== undefined && { alias }),
    ...(kind !== undefined && { kind }),
    ...(peerIndex !== undefined && { peerIndex }),
    ...(peerNetnsId !== undefined && { peerNetnsId }),
    ...(xfrmIfId !== undefined && { xfrmIfId }),
    ...(counters && { counters }),
  });
}
