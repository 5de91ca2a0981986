/**
 * Codec of NVGRE frames (RFC 7637 §3.2): the whole Ethernet frame of the provider wire. The product's packets are made and read
 * by the eBPF programs; this is for tests, benchmarks and tools. Pure, total: never throws on input.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { decodeOuter, encodeOuter, type OuterError, type OuterHeader } from './outer.ts';

export { ETHERTYPE_IPV4, internetChecksum } from './outer.ts';

const GRE = 8;
const ETHERNET = 14;
export const PROTOCOL_GRE = 47;
export const GRE_ETHERNET = 0x6558;
/** K present, nothing else; version 0. */
export const GRE_FLAGS = 0x2000;

export interface NvgreFrame extends OuterHeader {
  readonly vsid: Vsid;
  readonly flowId: number; // 0 … 255
  readonly inner: Uint8Array; // Ethernet frame of the tenant
}

export type NvgreError = OuterError | 'BAD_GRE';

export function encodeNvgre(f: NvgreFrame): Uint8Array {
  const payload = new Uint8Array(GRE + f.inner.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, GRE_FLAGS);
  view.setUint16(2, GRE_ETHERNET);
  view.setUint32(4, ((f.vsid << 8) | f.flowId) >>> 0);
  payload.set(f.inner, GRE);
  return encodeOuter(f, PROTOCOL_GRE, payload);
}

export function decodeNvgre(bytes: Uint8Array): Result<NvgreFrame, NvgreError> {
  const outer = decodeOuter(bytes, PROTOCOL_GRE);
  if (!outer.ok) return outer;
  const { header, payload } = outer.value;
  if (payload.length < GRE) return err('TRUNCATED');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getUint16(0) !== GRE_FLAGS || view.getUint16(2) !== GRE_ETHERNET) return err('BAD_GRE');
  if (payload.length < GRE + ETHERNET) return err('TRUNCATED');
  const key = view.getUint32(4);
  return ok({ ...header, vsid: key >>> 8, flowId: key & 0xff, inner: payload.subarray(GRE) });
}
