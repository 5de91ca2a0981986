/**
 * The reference model of the NAT data plane (R-NAT-1…6): state, packet and time in; packet or reason out. Written from the RFCs
 * and the design. A choice that is the data plane's own (pool, block, port, DIP) is read from its answer and judged, so that the
 * model needs none of its hashes.
 */
import { internetChecksum } from '../../encap/outer.ts';
import type { Address } from '../../lib/address.ts';
import { contains } from '../../lib/prefix.ts';
import type { NatInput } from '../../nat/entries.ts';
import {
  ACK,
  type Endpoints,
  endpointsOf,
  FIN,
  ICMP,
  type Ip,
  ipHeader,
  isError,
  isRequest,
  parseIp,
  putU16,
  RST,
  readdressed,
  SYN,
  TCP,
  translated,
  UDP,
} from './nat-packet.ts';
import { type Direction, demand, keyOf, type Mapping, NatState, type Tenant } from './nat-state.ts';
import { idOf } from './nat-world.ts';

export type NatVerdict =
  | { readonly verdict: 'pass' }
  /** Any of the reasons is right where more than one applies. */
  | { readonly verdict: 'drop'; readonly reasons: readonly string[]; readonly slot: number }
  /** To a tenant, or outside. */
  | { readonly verdict: 'send'; readonly packet: Ip; readonly inside: number | undefined };

/** What the data plane made of the packet; undefined when it was not sent on. */
export type Answer = Ip | undefined;

const PASS: NatVerdict = { verdict: 'pass' };
const NAMES = { TCP, UDP } as const;

interface Target {
  readonly slot: number;
  readonly host: Address;
  readonly port: number;
  readonly mapping: Mapping | undefined;
}
type Inbound = Target | { readonly reasons: readonly string[]; readonly slot: number } | 'stack';

export class NatModel {
  readonly state: NatState;
  readonly #input: NatInput;
  readonly #ours: ReadonlySet<Address>;
  readonly #affinity = new Map<string, Address>();

  readonly #ownerNow: (block: number) => number;

  /** @param ownerNow who has a block in the data plane; 0 = nobody. */
  constructor(input: NatInput, ownerNow: (block: number) => number) {
    this.#input = input;
    this.#ownerNow = ownerNow;
    this.state = new NatState(input);
    this.#ours = new Set(this.state.pools.map((p) => p.address));
  }

  #drop(slot: number, ...reasons: readonly string[]): NatVerdict {
    return { verdict: 'drop', reasons, slot };
  }

  /** A packet that a compartment sent towards nat0. */
  outward(slot: number, p: Ip, answer: Answer): NatVerdict {
    if (p.protocol === ICMP && isError(p.payload[0]!)) return this.#error(slot, p);
    const from = endpointsOf(p);
    if (p.protocol === ICMP && !from) return this.#drop(slot, 'NAT_ERROR', 'NAT_PROTOCOL');
    const known = from && this.state.flows.get(keyOf(slot, p.protocol, from));
    if (known) return this.#forward(known, p);
    const t = this.state.tenants.get(slot)!;
    const rule = this.#ruleOf(t, p.source, p.destination);
    if (!rule) return this.#drop(slot, 'NAT_POLICY', ...(from ? [] : ['NAT_PROTOCOL']), ...opens(p));
    const fixed = from && this.#staticOf(slot, p, from);
    if (fixed) return this.#open(t, p, from, fixed, answer);
    if (rule === 'OneToOne') return this.#oneToOneOut(t, p, from, answer);
    if (!from) return this.#drop(slot, 'NAT_PROTOCOL');
    const refused = opens(p);
    if (refused.length) return this.#drop(slot, ...refused);
    return this.#openMapped(t, p, from, rule, answer);
  }

  /** A packet that arrived at the external NIC. */
  inward(p: Ip, answer: Answer): NatVerdict {
    if (!this.#ours.has(p.destination)) return PASS;
    if (p.protocol === ICMP && isError(p.payload[0]!)) return this.#error(undefined, p);
    const from = endpointsOf(p);
    // A redirect is for a neighbour, and what is neither query nor error is nobody's (RFC 5508 REQ-11).
    if (p.protocol === ICMP && !from) return PASS;
    const known = from && this.state.flows.get(keyOf(undefined, p.protocol, from));
    if (known) return this.#forward(known, p);
    const whole = this.#wholeHost(p.destination);
    if (whole) return { verdict: 'send', packet: readdressed(p, p.source, whole.host), inside: whole.slot };
    if (!from) return PASS;
    const target = this.#inboundTarget(p, from, answer);
    if (target === 'stack') return PASS;
    if ('reasons' in target) return this.#drop(target.slot, ...target.reasons);
    const full = this.#quota(this.state.tenants.get(target.slot)!, target.host);
    if (full.length) return this.#drop(target.slot, ...full);
    const to = { ...from, destination: target.host, destinationPort: target.port };
    const session = this.state.open(
      {
        protocol: p.protocol,
        slot: target.slot,
        host: target.host,
        mappings: target.mapping ? [target.mapping] : [],
        contact: undefined,
      },
      [
        { from, to, inside: target.slot, sender: undefined },
        { from: reversed(to), to: reversed(from), inside: undefined, sender: target.slot },
      ],
    );
    if (!session) return this.#drop(target.slot, 'NAT_COLLISION');
    return this.#forward(session.directions[0], p);
  }

  /** Time and the control plane's sweep. */
  sweep(now: number): void {
    this.state.now = now;
    this.state.sweep((block) => this.#ownerNow(block) !== 0);
  }

  #forward(d: Direction, p: Ip): NatVerdict {
    this.state.note(d, p.payload, p.protocol === TCP ? p.payload[13]! : 0);
    return { verdict: 'send', packet: translated(p, d.from, d.to), inside: d.inside };
  }

  /** The inside endpoint of a static mapping sends from its external endpoint. */
  #staticOf(slot: number, p: Ip, from: Endpoints): Endpoints | undefined {
    for (const n of this.#input.netNats)
      for (const m of n.staticMappings)
        if (
          m.routingDomainId === idOf(slot) &&
          NAMES[m.protocol] === p.protocol &&
          m.internalIpAddress === from.source &&
          m.internalPort === from.sourcePort
        )
          return { ...from, source: m.externalIpAddress, sourcePort: m.externalPort };
    return undefined;
  }

  /** The first rule that decides; undefined = not let out. */
  #ruleOf(
    t: Tenant,
    host: Address,
    destination: Address,
  ): 'OneToOne' | { readonly addresses: readonly Address[] } | undefined {
    const one = t.nat.oneToOneMappings.some((m) => m.routingDomainId === idOf(t.slot) && m.internalIpAddress === host);
    for (const r of t.nat.policy) {
      if (r.routingDomainId !== undefined && r.routingDomainId !== idOf(t.slot)) continue;
      if (!contains(r.destinationPrefix, destination)) continue;
      if (r.action === 'Drop') return undefined;
      if (r.action === 'Translate') return { addresses: r.externalIpAddresses };
      if (one) return 'OneToOne';
    }
    return one ? 'OneToOne' : { addresses: [] };
  }

  #wholeHost(external: Address): { readonly slot: number; readonly host: Address } | undefined {
    for (const slot of this.state.tenants.keys())
      for (const n of this.#input.netNats)
        for (const m of n.oneToOneMappings)
          if (m.externalIpAddress === external && m.routingDomainId === idOf(slot))
            return { slot, host: m.internalIpAddress };
    return undefined;
  }

  #oneToOneOut(t: Tenant, p: Ip, from: Endpoints | undefined, answer: Answer): NatVerdict {
    const own = t.nat.oneToOneMappings.find(
      (m) => m.routingDomainId === idOf(t.slot) && m.internalIpAddress === p.source,
    )!;
    const out = readdressed(p, own.externalIpAddress, p.destination);
    if (!this.#ours.has(p.destination)) return { verdict: 'send', packet: out, inside: undefined };
    // Over a hairpin it is a session, so that the answers come from where they were asked for.
    return from
      ? this.#open(t, p, from, { ...from, source: own.externalIpAddress }, answer)
      : this.#drop(t.slot, 'NAT_PROTOCOL', 'NAT_NO_MAPPING', 'NAT_NO_SESSION');
  }

  #quota(t: Tenant, host: Address): readonly string[] {
    const of = (key: string): number => this.state.sessionsOf.get(key) ?? 0;
    const tenantFull = of(`${t.slot}`) >= t.maxSessions;
    const hostFull = t.maxHostSessions > 0 && of(`${t.slot} ${host}`) >= t.maxHostSessions;
    return tenantFull || hostFull ? ['NAT_SESSIONS'] : [];
  }

  /** A new session from inside through a port of a pool. */
  #openMapped(
    t: Tenant,
    p: Ip,
    from: Endpoints,
    rule: { readonly addresses: readonly Address[] },
    answer: Answer,
  ): NatVerdict {
    const { slot } = t;
    const set = rule.addresses.length ? 1 : 0;
    const pools = rule.addresses.length ? t.pools.filter((x) => rule.addresses.includes(x.address)) : t.pools;
    const there = this.state.mappings.get(this.state.mappingKey(slot, from.source, from.sourcePort, p.protocol, set));
    const full = [...this.#quota(t, from.source)];
    if (!there) {
      const ports = this.state.portsOf.get(`${slot} ${from.source}`) ?? 0;
      if (t.maxHostPorts > 0 && ports >= t.maxHostPorts) full.push('NAT_HOST_PORTS');
      const candidates = this.state.candidates(t, from.source, set, pools);
      if (this.state.exhausted(t, candidates, p.protocol)) full.push('NAT_PORTS');
    }
    const outcome = there && this.#hairpinProblem(from, p, there.external);
    if (full.length || outcome) {
      // It was taken up before the other end refused: its rest begins anew.
      if (there?.sessions === 0 && !full.length) there.released = this.state.now;
      const itself = there?.external === from.destination && there.externalPort === from.destinationPort;
      return this.#drop(slot, ...full, ...(outcome ?? []), ...(itself ? ['NAT_COLLISION'] : []));
    }
    if (there)
      return this.#open(t, p, from, { ...from, source: there.external, sourcePort: there.externalPort }, answer, there);
    // Over a hairpin the new port is not yet anybody's where it is refused at the other end: then it is seen nowhere.
    if (!answer) {
      const candidates = this.state.candidates(t, from.source, set, pools);
      const refused = [...new Set(candidates.flatMap((c) => this.#hairpinProblem(from, p, c.address) ?? []))];
      demand(refused.length > 0, 'a port was free');
      // The port that was found for it can be the very one that it sends to.
      if (candidates.some((c) => c.address === from.destination)) refused.push('NAT_COLLISION', 'NAT_FILTERED');
      this.state.adopt(t, candidates, p.protocol, this.#ownerNow);
      return this.#drop(slot, ...refused);
    }
    const seen = endpointsOf(answer)!;
    const choice = { address: answer.source, port: seen.sourcePort };
    const inside = { host: from.source, port: from.sourcePort, protocol: p.protocol, set };
    const mapping = this.state.claim(t, inside, pools, choice);
    return this.#open(
      t,
      p,
      from,
      { ...from, source: mapping.external, sourcePort: mapping.externalPort },
      answer,
      mapping,
    );
  }

  /** Why the other end of a hairpin refuses a sender; undefined = it does not, or there is no hairpin. */
  #hairpinProblem(from: Endpoints, p: Ip, sender: Address): readonly string[] | undefined {
    if (!this.#ours.has(from.destination) || this.#wholeHost(from.destination)) return undefined;
    const at = this.#inboundTarget(p, { ...from, source: sender }, undefined);
    if (at === 'stack') return ['NAT_NO_MAPPING'];
    return 'reasons' in at ? at.reasons : undefined;
  }

  /** Opens a session from inside whose external endpoint is known, out or back in. */
  #open(t: Tenant, p: Ip, from: Endpoints, outside: Endpoints, answer: Answer, mapping?: Mapping): NatVerdict {
    const { slot } = t;
    const hairpin = this.#ours.has(from.destination);
    const whole = hairpin ? this.#wholeHost(from.destination) : undefined;
    const found = !hairpin || whole ? undefined : this.#inboundTarget(p, outside, answer);
    const refused = [...opens(p), ...this.#quota(t, from.source)];
    if (found === 'stack') refused.push('NAT_NO_MAPPING');
    else if (found && 'reasons' in found) refused.push(...found.reasons);
    if (refused.length) return this.#drop(slot, ...refused);
    const target = found as Target | undefined;
    const inside = whole?.slot ?? target?.slot;
    const to = target
      ? { ...outside, destination: target.host, destinationPort: target.port }
      : whole
        ? { ...outside, destination: whole.host }
        : outside;
    const session = this.state.open(
      {
        protocol: p.protocol,
        slot,
        host: from.source,
        mappings: [...(mapping ? [mapping] : []), ...(target?.mapping ? [target.mapping] : [])],
        contact: mapping && `${mapping.external}:${mapping.externalPort} ${p.protocol} ${from.destination}`,
      },
      [
        { from, to, inside, sender: slot },
        // Whoever is at the other end inside sends to the external endpoint of the first.
        { from: reversed(to), to: reversed(from), inside: slot, sender: inside },
      ],
    );
    if (!session) return this.#drop(slot, 'NAT_COLLISION');
    return this.#forward(session.directions[0], p);
  }

  /** Where a new packet from outside goes (RFC 4787 §5, RFC 5382 §5). */
  #inboundTarget(p: Ip, from: Endpoints, answer: Answer): Inbound {
    const { destination: address, destinationPort: port } = from;
    const name = p.protocol === TCP ? 'TCP' : p.protocol === UDP ? 'UDP' : undefined;
    for (const n of this.#input.netNats) {
      const slotOf = (id: string): number => [...this.state.tenants.keys()].find((s) => idOf(s) === id)!;
      for (const m of n.staticMappings) {
        if (m.externalIpAddress !== address || m.externalPort !== port || m.protocol !== name) continue;
        const slot = slotOf(m.routingDomainId);
        const remote = m.remoteExternalIpAddressPrefix;
        const wrong = [...(remote && !contains(remote, from.source) ? ['NAT_FILTERED'] : []), ...opens(p)];
        return wrong.length
          ? { reasons: wrong, slot }
          : { slot, host: m.internalIpAddress, port: m.internalPort, mapping: undefined };
      }
      for (const r of n.loadBalancingRules) {
        if (r.frontendIpAddress !== address || r.frontendPort !== port || r.protocol !== name) continue;
        const slot = slotOf(r.routingDomainId);
        const able = r.backends
          .filter((b) => !b.draining && this.#input.healthy(r, b.ipAddress))
          .map((b) => b.ipAddress);
        const wrong = [...(able.length ? [] : ['NAT_NO_DIP']), ...opens(p)];
        if (wrong.length) return { reasons: wrong, slot };
        const host = answer?.destination;
        if (host === undefined) return { slot, host: able[0]!, port: r.backendPort, mapping: undefined };
        demand(able.includes(host), `${host} is no DIP of ${r.name} that takes new flows`);
        const client = `${r.name} ${from.source}`;
        if (r.loadDistribution === 'SourceIP') {
          demand((this.#affinity.get(client) ?? host) === host, `${from.source} had another DIP of ${r.name} before`);
          this.#affinity.set(client, host);
        }
        return { slot, host, port: r.backendPort, mapping: undefined };
      }
    }
    const found = this.state.externals.get(this.state.externalKey(address, port, p.protocol));
    // One that rests is there for its own inside endpoint alone.
    const mapping = found && found.sessions > 0 ? found : undefined;
    // A query opens nothing from outside (RFC 5508 §3): whatever belongs to no session is the gateway's.
    if (p.protocol === ICMP) return 'stack';
    if (mapping) {
      const wrong = [...(this.#admits(mapping, from.source) ? [] : ['NAT_FILTERED']), ...opens(p)];
      if (wrong.length) return { reasons: wrong, slot: mapping.slot };
      return { slot: mapping.slot, host: mapping.host, port: mapping.port, mapping };
    }
    if (found) {
      const more = [
        ...this.#quota(this.state.tenants.get(found.slot)!, found.host),
        ...(this.#admits(found, from.source) ? [] : ['NAT_FILTERED']),
      ];
      return { reasons: ['NAT_NO_MAPPING', ...opens(p), ...more], slot: found.slot };
    }
    const owner = this.#ownerOf(address, port, p.protocol);
    return owner === undefined ? 'stack' : { reasons: ['NAT_NO_MAPPING', ...opens(p)], slot: owner };
  }

  #ownerOf(address: Address, port: number, protocol: number): number | undefined {
    const at = this.state.blockAt(address, port);
    return at && !this.state.reserved(address, protocol, port) ? this.state.owners.get(at.block) : undefined;
  }

  #admits(m: Mapping, remote: Address): boolean {
    const filtering = this.state.filteringOf(m.slot, m.protocol);
    if (filtering === 'EndpointIndependentFiltering') return true;
    if (filtering === 'AddressAndPortDependentFiltering') return false;
    return this.state.contacts.has(`${m.external}:${m.externalPort} ${m.protocol} ${remote}`);
  }

  /** RFC 5508 §4: an error about a session is translated with what it quotes, and changes nothing. */
  #error(sender: number | undefined, p: Ip): NatVerdict {
    // From outside it may be about the gateway's own packets.
    const lost = sender === undefined ? PASS : this.#drop(sender, 'NAT_ERROR');
    const inner = parseIp(p.payload.subarray(8), true);
    if (!inner || (inner.fragment & 0x1fff) !== 0 || inner.payload.length < 8) return lost;
    // The packet that is quoted went the other way: it is the session's other direction after its translation.
    const ends = endpointsOf(inner);
    if (!ends) return lost;
    const d = this.state.flows.get(keyOf(sender, inner.protocol, reversed(ends)));
    if (!d) return this.#errorOneToOne(sender, p, inner) ?? lost;
    const quoted = translated(inner, ends, reversed(d.to));
    const source = sender === undefined ? p.source : d.to.source;
    return { verdict: 'send', packet: this.#quoting(p, quoted, source, d.to.destination), inside: d.inside };
  }

  #errorOneToOne(sender: number | undefined, p: Ip, inner: Ip): NatVerdict | undefined {
    if (sender === undefined) {
      const whole = this.#wholeHost(inner.source);
      if (!whole) return undefined;
      const packet = this.#quoting(p, readdressed(inner, whole.host, inner.destination), p.source, whole.host);
      return { verdict: 'send', packet, inside: whole.slot };
    }
    const t = this.state.tenants.get(sender)!;
    const own = t.nat.oneToOneMappings.find(
      (m) => m.routingDomainId === idOf(sender) && m.internalIpAddress === inner.destination,
    );
    if (!own) return undefined;
    const packet = this.#quoting(
      p,
      readdressed(inner, inner.source, own.externalIpAddress),
      own.externalIpAddress,
      p.destination,
    );
    return { verdict: 'send', packet, inside: undefined };
  }

  #quoting(p: Ip, inner: Ip, source: Address, destination: Address): Ip {
    const payload = p.payload.slice();
    const header = ipHeader(inner, 0);
    // The length of the quoted packet is its own, not that of the part that is quoted.
    header.set(p.payload.subarray(10, 12), 2);
    putU16(header, 10, 0);
    putU16(header, 10, internetChecksum(header));
    payload.set(header, 8);
    payload.set(inner.payload, 28);
    putU16(payload, 2, 0);
    putU16(payload, 2, internetChecksum(payload));
    return { ...p, source, destination, payload };
  }
}

const reversed = (e: Endpoints): Endpoints => ({
  source: e.destination,
  destination: e.source,
  sourcePort: e.destinationPort,
  destinationPort: e.sourcePort,
});

/** Why a packet cannot open a session: TCP opens with SYN alone, ICMP with a request. */
function opens(p: Ip): readonly string[] {
  if (p.protocol === TCP) return (p.payload[13]! & (SYN | ACK | RST | FIN)) === SYN ? [] : ['NAT_NO_SESSION'];
  if (p.protocol === ICMP) return isRequest(p.payload[0]!) ? [] : ['NAT_NO_SESSION'];
  return [];
}
