/**
 * Direct-action eBPF classifiers on a clsact qdisc (tc-bpf(8), linux/pkt_cls.h). Pure. We use one place per direction:
 * priority 1, handle 1, all protocols; sending a filter there again swaps the program in place, without a gap.
 */
import { ok, type Result } from '../../lib/result.ts';
import { type Batch, NLM_F, nested, parseBody, readString, readU32 } from './message.ts';

const RTM_NEWQDISC = 36;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
export const RTM_GETTFILTER = 46;

const TC_H_CLSACT = 0xfffffff1;
const CLSACT_HANDLE = 0xffff0000;
const PARENT = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
export type Direction = keyof typeof PARENT;

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF = { FD: 6, NAME: 7, FLAGS: 8, TAG: 10, ID: 11 } as const;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const ETH_P_ALL_BE = 0x0300;
const PRIORITY = 1;
const HANDLE = 1;
const TCMSG = 20;

/** The filter at our place. */
export interface Filter {
  readonly name: string;
  readonly tag: string; // 16 hex digits; '' for classic BPF
  readonly programId: number; // 0 for classic BPF
}

function trafficHeader(index: number, handle: number, parent: number, info = 0): Buffer {
  const b = Buffer.alloc(TCMSG);
  b.writeInt32LE(index, 4);
  b.writeUInt32LE(handle, 8);
  b.writeUInt32LE(parent, 12);
  b.writeUInt32LE(info, 16);
  return b;
}

export const dumpFilters = (index: number, direction: Direction): Buffer => trafficHeader(index, 0, PARENT[direction]);

/** Idempotent: a clsact that is there stays as it is. */
export const createClsact = (batch: Batch, index: number): Batch =>
  batch.add(RTM_NEWQDISC, NLM_F.CREATE, trafficHeader(index, CLSACT_HANDLE, TC_H_CLSACT), [[TCA_KIND, 'clsact']]);

const ourPlace = (index: number, direction: Direction): Buffer =>
  trafficHeader(index, HANDLE, PARENT[direction], (PRIORITY << 16) | ETH_P_ALL_BE);

/** `flags`: NLM_F.EXCL fails with EEXIST when our place is taken, NLM_F.REPLACE swaps. */
export const createFilter = (
  batch: Batch,
  at: { readonly index: number; readonly direction: Direction },
  program: { readonly fd: number; readonly name: string },
  flags: number,
): Batch =>
  batch.add(RTM_NEWTFILTER, NLM_F.CREATE | flags, ourPlace(at.index, at.direction), [
    [TCA_KIND, 'bpf'],
    [
      TCA_OPTIONS,
      [
        [TCA_BPF.FD, program.fd],
        [TCA_BPF.NAME, program.name],
        [TCA_BPF.FLAGS, TCA_BPF_FLAG_ACT_DIRECT],
      ],
    ],
  ]);

export const deleteFilter = (batch: Batch, index: number, direction: Direction): Batch =>
  batch.add(RTM_DELTFILTER, 0, ourPlace(index, direction), [[TCA_KIND, 'bpf']]);

/** Payload of RTM_NEWTFILTER; undefined for what is not an eBPF filter at our place. */
export function parseFilter(payload: Buffer): Result<Filter | undefined, string> {
  const body = parseBody(payload, TCMSG);
  if (!body.ok) return body;
  const { header, attributes } = body.value;
  const ours = header.readUInt32LE(8) === HANDLE && header.readUInt32LE(16) >>> 16 === PRIORITY;
  if (!ours || readString(attributes, TCA_KIND) !== 'bpf') return ok(undefined);
  const options = nested(attributes, TCA_OPTIONS);
  return ok({
    name: readString(options, TCA_BPF.NAME) ?? '',
    tag: options.get(TCA_BPF.TAG)?.toString('hex') ?? '',
    programId: readU32(options, TCA_BPF.ID) ?? 0,
  });
}
