/** The checks that every flow has in common: what stands in each frame at each place, and what never is on the provider wire. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { sendFrames } from '../raw-frame.ts';
import { type Capture, until, type World } from '../world.ts';
import { END_OF_CAPTURE, type Ends, type Frame, framesOf } from './capture.ts';
import { type Cloud, type Machine, PROVIDERS, TENANTS, type Tenant } from './cloud.ts';

const IPV4_ICMP = 28; // bytes of both headers
const NVGRE = 42; // bytes that encapsulation adds to the tenant's packet
const ECHO = { reply: 0, request: 8 } as const;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const PROVIDER_ADDRESSES: readonly string[] = Object.values(PROVIDERS).map((p) => p.address);

/** How a packet passes one place. */
export interface Leg {
  readonly mac: Ends;
  readonly ip: Ends;
  readonly ttl: number;
  /** On the wire: from which machine to which, in which virtual subnet (without the tenant's offset). */
  readonly wire?: { readonly from: Machine; readonly to: Machine; readonly vsid: number };
}

export const backwards = ({ source, destination }: Ends): Ends => ({ source: destination, destination: source });

const lengthFor = (t: Tenant) => t.size + IPV4_ICMP;
const isOf = (t: Tenant) => (f: Frame) => f.icmp !== undefined && f.ip?.length === lengthFor(t);

function expected(t: Tenant, { mac, ip, ttl, wire }: Leg, type: 'request' | 'reply', sequence: number) {
  const length = lengthFor(t);
  const inner = { mac, ip: { ...ip, ttl, length }, icmp: { type: ECHO[type], sequence }, checksums: 'good' };
  if (!wire) return inner;
  const ends = (of: 'mac' | 'address') => ({ source: PROVIDERS[wire.from][of], destination: PROVIDERS[wire.to][of] });
  return {
    ...inner,
    outer: {
      mac: ends('mac'),
      ip: { ...ends('address'), ttl: 64, length: length + NVGRE },
      dontFragment: true,
      gre: '0x2000 0x6558',
      vsid: wire.vsid + t.offset,
    },
  };
}

/** Every field of a tenant's echo requests and replies at one place, in their order; nothing of the tenant is there besides. */
export function assertPings(frames: readonly Frame[], t: Tenant, request: Leg, reply: Leg, count: number): void {
  // A late answer may stand behind the next request: each pair by itself is in order.
  const seen = frames.filter(isOf(t)).toSorted((a, b) => a.icmp!.sequence - b.icmp!.sequence);
  const fields = seen.map(({ protocols: _, outer, ...rest }) => {
    if (!outer) return rest;
    const { flowId: __, ...stable } = outer;
    return { ...rest, outer: stable };
  });
  const pairs = Array.from({ length: count }, (_, i) => [
    expected(t, request, 'request', i + 1),
    expected(t, reply, 'reply', i + 1),
  ]);
  assert.deepEqual(fields, pairs.flat());
  // RFC 7637 §3.2: the FlowID is the flow's, so all its packets take one path.
  for (const type of Object.values(ECHO)) {
    const flows = new Set(seen.filter((f) => f.icmp?.type === type).map((f) => f.outer?.flowId));
    assert.ok(flows.size <= 1, `FlowIDs of one flow: ${[...flows]}`);
  }
}

/** A VM asks for one address and is told one MAC; the answer comes to it alone. */
export function assertResolved(
  frames: readonly Frame[],
  who: { address: string; mac: string },
  target: string,
  mac: string,
) {
  const arps = frames.filter((f) => f.arp).map((f) => ({ mac: f.mac, arp: f.arp }));
  assert.deepEqual(arps, [
    {
      mac: { source: who.mac, destination: BROADCAST },
      arp: { operation: 'request', sender: who.address, senderMac: who.mac, target, targetMac: '00:00:00:00:00:00' },
    },
    {
      mac: { source: mac, destination: who.mac },
      arp: { operation: 'reply', sender: target, senderMac: mac, target: who.address, targetMac: who.mac },
    },
  ]);
}

/** The provider wire holds NVGRE between provider addresses, and the machines' own ARP for these; nothing of a tenant else. */
export function assertCleanWire(frames: readonly Frame[]): void {
  for (const f of frames) {
    const text = JSON.stringify(f);
    assert.equal(f.checksums, 'good', text);
    if (f.outer) {
      assert.equal(f.arp, undefined, `a tenant's ARP on the wire: ${text}`);
      assert.ok(f.icmp, text);
      assert.ok(
        PROVIDER_ADDRESSES.includes(f.outer.ip.source) && PROVIDER_ADDRESSES.includes(f.outer.ip.destination),
        text,
      );
    } else {
      assert.ok(f.arp, `neither NVGRE nor ARP: ${text}`);
      assert.ok(PROVIDER_ADDRESSES.includes(f.arp.sender) && PROVIDER_ADDRESSES.includes(f.arp.target), text);
    }
  }
}

export type Place = readonly [tenant: Tenant, at: number | 'server'] | Machine;
const placeName = (p: Place): string => (typeof p === 'string' ? p : `${p[0].name}${p[1]}`);

/** Captures at several places while something happens; the frames by the place's name (`host1`, `Contoso1`). */
export async function during(
  world: World,
  cloud: Cloud,
  places: readonly Place[],
  work: () => Promise<unknown>,
): Promise<Readonly<Record<string, readonly Frame[]>>> {
  const deviceOf = (p: Place): readonly [ns: string, device: string] =>
    typeof p === 'string' ? [cloud.machine(p), 'nic'] : [cloud.vm(...p), 'eth0'];
  const start = async (p: Place): Promise<[Place, Capture]> => [p, await world.capture(...deviceOf(p))];
  const captures = await Promise.all(places.map(start));
  await work();
  const stop = async ([p, capture]: [Place, Capture]) => {
    const [ns, device] = deviceOf(p);
    sendFrames(world.nsPath(ns), device, [END_OF_CAPTURE]);
    await until(() => fs.readFileSync(capture.file).includes(END_OF_CAPTURE), undefined, `capture of ${placeName(p)}`);
    return [placeName(p), framesOf(await capture.stop())] as const;
  };
  const files = await Promise.all(captures.map(stop));
  return Object.fromEntries(files);
}

/** Both tenants' VMs forget their neighbours, so that a flow begins with the question. */
export function forgetNeighbours(world: World, cloud: Cloud, numbers: readonly number[]): void {
  for (const t of TENANTS) for (const n of numbers) world.sh(cloud.vm(t, n), 'ip neigh flush all');
}
