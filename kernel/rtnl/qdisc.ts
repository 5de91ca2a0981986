/** Token bucket filters: RTM_NEWQDISC and its relatives (rtnetlink(7), linux/pkt_sched.h, tc-tbf(8)). Pure. */
import { err, ok, type Result } from '../../lib/result.ts';
import { type Batch, NLM_F, nested, parseBody, readString } from './message.ts';

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;

const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TCA_TBF_PARMS = 1;
const TCA_TBF_BURST = 6;
const TCMSG = 20;
const TBF_QOPT = 36; // struct tc_tbf_qopt: two of struct tc_ratespec, limit, buffer, mtu
const AT = { linkLayer: 1, leastPacket: 6, rate: 8, limit: 24, buffer: 28 } as const;
const TC_H_ROOT = 0xffffffff;
const TC_LINKLAYER_ETHERNET = 1;
const HANDLE = 0x10000; // 1:
/** psched ticks, as /proc/net/psched tells since 2.6.31. */
const NS_PER_TICK = 64;

export interface TokenBucket {
  readonly rate: number; // bytes a second
  readonly burst: number; // bytes
  readonly limit: number; // bytes that wait
  /** Shorter packets count as this long, bytes. */
  readonly leastPacket: number;
}

export interface Qdisc {
  readonly index: number; // of the link
  readonly root: boolean;
  readonly kind: string;
  readonly tokenBucket?: TokenBucket;
}

function header(index: number, handle = 0): Buffer {
  const b = Buffer.alloc(TCMSG);
  b.writeInt32LE(index, 4);
  b.writeUInt32LE(handle, 8);
  b.writeUInt32LE(TC_H_ROOT, 12);
  return b;
}

export const dumpQdiscs = (): Buffer => Buffer.alloc(TCMSG);

/** The root qdisc of a link, in place of whatever it has. */
export function setTokenBucket(batch: Batch, index: number, bucket: TokenBucket): Batch {
  const parameters = Buffer.alloc(TBF_QOPT);
  parameters.writeUInt8(TC_LINKLAYER_ETHERNET, AT.linkLayer);
  parameters.writeUInt16LE(bucket.leastPacket, AT.leastPacket);
  parameters.writeUInt32LE(bucket.rate, AT.rate);
  parameters.writeUInt32LE(bucket.limit, AT.limit);
  return batch.add(RTM_NEWQDISC, NLM_F.CREATE | NLM_F.REPLACE, header(index, HANDLE), [
    [TCA.KIND, 'tbf'],
    [
      TCA.OPTIONS,
      [
        [TCA_TBF_PARMS, parameters],
        [TCA_TBF_BURST, bucket.burst],
      ],
    ],
  ]);
}

/** The link gets back what it has by itself. */
export const deleteQdisc = (batch: Batch, index: number): Batch => batch.add(RTM_DELQDISC, 0, header(index));

function parseTokenBucket(parameters: Buffer | undefined): TokenBucket | undefined {
  if (!parameters || parameters.length < TBF_QOPT) return undefined;
  const rate = parameters.readUInt32LE(AT.rate);
  return {
    rate,
    burst: Math.round((parameters.readUInt32LE(AT.buffer) * NS_PER_TICK * rate) / 1e9),
    limit: parameters.readUInt32LE(AT.limit),
    leastPacket: parameters.readUInt16LE(AT.leastPacket),
  };
}

/** Payload of RTM_NEWQDISC. */
export function parseQdisc(payload: Buffer): Result<Qdisc, string> {
  const body = parseBody(payload, TCMSG);
  if (!body.ok) return body;
  const { header: head, attributes } = body.value;
  const kind = readString(attributes, TCA.KIND);
  if (kind === undefined) return err('netlink: qdisc without a kind');
  const tokenBucket = kind === 'tbf' ? parseTokenBucket(nested(attributes, TCA.OPTIONS).get(TCA_TBF_PARMS)) : undefined;
  return ok({
    index: head.readInt32LE(4),
    root: head.readUInt32LE(12) === TC_H_ROOT,
    kind,
    ...(tokenBucket && { tokenBucket }),
  });
}
