/** Reading of pcap files (libpcap's classic format, micro- and nanosecond, both byte orders). Total: any bytes give a Result. */
import { err, ok, type Result } from '../../lib/result.ts';

export interface CapturedFrame {
  readonly seconds: number; // since 1970, with the fraction
  readonly bytes: Uint8Array; // what was captured
  readonly length: number; // what was on the wire
}

export interface Capture {
  readonly linkType: number; // 1 = Ethernet
  readonly frames: readonly CapturedFrame[];
  /** The file ends inside a record, as that of a running capture may. */
  readonly cut: boolean;
}

export type PcapError = 'TOO_SHORT' | 'NOT_PCAP' | 'BAD_LENGTH';

export const LINKTYPE_ETHERNET = 1;
const HEADER = 24;
const RECORD = 16;
/** tcpdump's own limit (MAXIMUM_SNAPLEN); a larger number is a damaged file. */
const MAX_CAPTURED = 262144;

export function parsePcap(file: Uint8Array): Result<Capture, PcapError> {
  if (file.length < HEADER) return err('TOO_SHORT');
  const v = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const magic = v.getUint32(0, true);
  const little = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  if (!little && magic !== 0xd4c3b2a1 && magic !== 0x4d3cb2a1) return err('NOT_PCAP');
  const fraction = magic === 0xa1b23c4d || magic === 0x4d3cb2a1 ? 1e-9 : 1e-6;
  const frames: CapturedFrame[] = [];
  let at = HEADER;
  while (at + RECORD <= file.length) {
    const captured = v.getUint32(at + 8, little);
    if (captured > MAX_CAPTURED) return err('BAD_LENGTH');
    if (at + RECORD + captured > file.length) break;
    frames.push({
      seconds: v.getUint32(at, little) + v.getUint32(at + 4, little) * fraction,
      bytes: file.subarray(at + RECORD, at + RECORD + captured),
      length: v.getUint32(at + 12, little),
    });
    at += RECORD + captured;
  }
  return ok({ linkType: v.getUint32(20, little) & 0x0fffffff, frames, cut: at !== file.length });
}

/** A pcap file of the given frames, for tools that send one. */
export function encodePcap(frames: readonly Uint8Array[]): Uint8Array {
  const file = new Uint8Array(HEADER + frames.reduce((n, f) => n + RECORD + f.length, 0));
  const v = new DataView(file.buffer);
  v.setUint32(0, 0xa1b2c3d4, true);
  v.setUint16(4, 2, true);
  v.setUint16(6, 4, true);
  v.setUint32(16, MAX_CAPTURED, true);
  v.setUint32(20, LINKTYPE_ETHERNET, true);
  let at = HEADER;
  for (const f of frames) {
    v.setUint32(at + 8, f.length, true);
    v.setUint32(at + 12, f.length, true);
    file.set(f, at + RECORD);
    at += RECORD + f.length;
  }
  return file;
}
