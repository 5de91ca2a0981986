/**
 * Codec of VXLAN frames (RFC 7348 §5), the second encapsulation (R-ENC-13); the VNI is the virtual subnet's id. For tests,
 * benchmarks and tools, as `nvgre.ts`. Pure, total.
 *
 * The UDP checksum is sent as zero over both families (RFC 6935) and not checked on receipt, as RFC 7348 §4.1 allows.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { decodeOuter, encodeOuter, type OuterError, type OuterHeader } from './outer.ts';

const UDP = 8;
const VXLAN = 8;
const ETHERNET = 14;
const PROTOCOL_UDP = 17;
export const VXLAN_PORT = 4789;
/** The I bit: the network identifier is valid. */
const VALID_VNI = 0x08;

export interface VxlanFrame extends OuterHeader {
  readonly sourcePort: number; // of the flow, 49152 … 65535 as RFC 7348 §5 recommends
  readonly vsid: Vsid;
  readonly inner: Uint8Array; // Ethernet frame of the tenant
}

export type VxlanError = OuterError | 'PORT' | 'BAD_VXLAN';

export function encodeVxlan(f: VxlanFrame): Uint8Array {
  const payload = new Uint8Array(UDP + VXLAN + f.inner.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, f.sourcePort);
  view.setUint16(2, VXLAN_PORT);
  view.setUint16(4, payload.length);
  view.setUint8(8, VALID_VNI);
  view.setUint32(12, (f.vsid << 8) >>> 0);
  payload.set(f.inner, UDP + VXLAN);
  return encodeOuter(f, PROTOCOL_UDP, payload);
}

export function decodeVxlan(bytes: Uint8Array): Result<VxlanFrame, VxlanError> {
  const outer = decodeOuter(bytes, PROTOCOL_UDP);
  if (!outer.ok) return outer;
  const { header, payload } = outer.value;
  if (payload.length < UDP + VXLAN) return err('TRUNCATED');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getUint16(2) !== VXLAN_PORT) return err('PORT');
  if (!(view.getUint8(8) & VALID_VNI)) return err('BAD_VXLAN');
  if (payload.length < UDP + VXLAN + ETHERNET || view.getUint16(4) > payload.length) return err('TRUNCATED');
  return ok({
    ...header,
    sourcePort: view.getUint16(0),
    vsid: view.getUint32(12) >>> 8,
    inner: payload.subarray(UDP + VXLAN),
  });
}
