/**
 * What may be on a wire, decided frame by frame: on the internet wire IKE and ESP between the gateway and its peers, on the
 * provider wire NVGRE between provider addresses with the VSID of the side it goes to; on both what keeps a link alive (ARP, and
 * IPv6 neighbour discovery and multicast listening, RFC 4861 and 3810). Anything else is a finding.
 */
import type { CapturedFrame } from './file.ts';
import { ETHERTYPE, type Frame, PROTOCOL, parseFrame, vsidOf } from './frame.ts';

export interface WireReport {
  readonly frames: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** Frames that should not be there: `<what>`, with the number of frames each. */
  readonly findings: Readonly<Record<string, number>>;
}

type Judgement = { readonly kind: string } | { readonly finding: string };

/** ICMPv6 133–137 and 143, or hop-by-hop options (MLD) in front of it. */
function linkControl(f: Frame): boolean {
  if (f.etherType === ETHERTYPE.ARP) return true;
  if (f.etherType !== ETHERTYPE.IPV6 || f.payload.length < 40) return false;
  const next = f.payload[6]!;
  const at = next === 0 ? 40 + 8 : 40;
  const protocol = next === 0 ? f.payload[40] : next;
  const type = f.payload[at] ?? 0;
  return protocol === PROTOCOL.ICMPV6 && ((type >= 130 && type <= 137) || type === 143);
}

const describe = (f: Frame): string =>
  f.ipv4
    ? `IPv4 ${f.ipv4.source} -> ${f.ipv4.destination} protocol ${f.ipv4.protocol}${f.ipv4.ports ? ` port ${f.ipv4.ports.destination}` : ''}`
    : `EtherType 0x${f.etherType.toString(16).padStart(4, '0')} from ${f.source}`;

function report(frames: readonly CapturedFrame[], judge: (f: Frame) => Judgement): WireReport {
  const kinds: Record<string, number> = {};
  const findings: Record<string, number> = {};
  for (const { bytes } of frames) {
    const frame = parseFrame(bytes);
    const j = frame.ok ? judge(frame.value) : { finding: frame.error };
    if ('kind' in j) kinds[j.kind] = (kinds[j.kind] ?? 0) + 1;
    else findings[j.finding] = (findings[j.finding] ?? 0) + 1;
  }
  return { frames: frames.length, kinds, findings };
}

/** `gateway` is its public address, `peers` the sites'. */
export function internetWire(frames: readonly CapturedFrame[], gateway: string, peers: readonly string[]): WireReport {
  const between = (a: string, b: string) =>
    (a === gateway && peers.includes(b)) || (b === gateway && peers.includes(a));
  return report(frames, (f) => {
    if (f.vlan !== undefined) return { finding: `VLAN ${f.vlan}` };
    if (linkControl(f)) return { kind: 'link control' };
    const ip = f.ipv4;
    if (!ip || !between(ip.source, ip.destination)) return { finding: describe(f) };
    if (ip.protocol === PROTOCOL.ESP) return { kind: 'ESP' };
    const ike = ip.ports && [500, 4500].includes(ip.ports.source) && [500, 4500].includes(ip.ports.destination);
    return ike ? { kind: 'IKE' } : { finding: describe(f) };
  });
}

export interface ProviderRules {
  readonly gateway: string;
  readonly hosts: readonly string[];
  readonly gatewayVsids: readonly number[];
  readonly hostVsids: readonly number[];
  /** MAC of the machine that the lab itself lets misbehave: its own frames are counted apart. */
  readonly rogue: string;
}

export function providerWire(frames: readonly CapturedFrame[], rules: ProviderRules): WireReport {
  const pas = [rules.gateway, ...rules.hosts];
  return report(frames, (f) => {
    if (f.source === rules.rogue) return { kind: 'sent by the lab’s rogue machine' };
    if (f.vlan !== undefined) return { finding: `VLAN ${f.vlan}` };
    if (linkControl(f)) return { kind: 'link control' };
    const gre = f.ipv4?.gre;
    if (!f.ipv4 || !gre || !pas.includes(f.ipv4.source) || !pas.includes(f.ipv4.destination))
      return { finding: describe(f) };
    if (gre.flags !== 0x2000 || gre.etherType !== ETHERTYPE.TRANSPARENT_BRIDGING || gre.key === undefined)
      return { finding: `GRE that is not NVGRE from ${f.ipv4.source}` };
    const vsid = vsidOf(gre.key);
    const toGateway = f.ipv4.destination === rules.gateway;
    if (!(toGateway ? rules.gatewayVsids : rules.hostVsids).includes(vsid))
      return { finding: `VSID ${vsid} from ${f.ipv4.source} to ${f.ipv4.destination}` };
    const inner = parseFrame(gre.payload);
    if (!inner.ok) return { finding: `inner frame ${inner.error} in VSID ${vsid}` };
    if (inner.value.vlan !== undefined) return { finding: `inner VLAN in VSID ${vsid}` };
    if (inner.value.etherType !== ETHERTYPE.IPV4)
      return { finding: `inner EtherType 0x${inner.value.etherType.toString(16)} in VSID ${vsid}` };
    return { kind: `NVGRE VSID ${vsid} ${toGateway ? 'to the gateway' : 'to hosts'}` };
  });
}

/** How many frames hold one of the markers as plain text. */
export const framesWith = (frames: readonly CapturedFrame[], markers: readonly string[]): number =>
  frames.filter(({ bytes }) => {
    const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return markers.some((m) => b.includes(m));
  }).length;
