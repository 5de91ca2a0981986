/**
 * What `hnvgw nat` shows, read in steps between which packets' events and other requests have their turn: a million sessions
 * take seconds to go through, and only as many become rows as were asked for.
 */
import { setImmediate } from 'node:timers/promises';
import type { Slot } from '../../compartments/numbers.ts';
import type { Row } from '../../lib/table.ts';
import { FLOW_OPENER, FLOW_TO_INSIDE, KIND, NAT, type NatBlock } from '../../nat/abi.ts';
import type { BlockJournal } from '../../nat/io/journal.ts';
import type { BlockRecord } from '../../nat/log.ts';
import { poolPressure, sessionPressure, tenantPressure, topHosts } from '../../nat/pressure.ts';
import { PROTOCOL_NUMBER } from '../../nat/protocol.ts';
import { serviceKey } from '../../nat/services.ts';
import { blockRows, dipSessions, insideOf, mappingRows, type NatNames, sessionRows, vipRows } from '../../nat/show.ts';
import { type Question, who } from '../../nat/who.ts';
import { netNatsOf } from '../nat.ts';
import type { Running } from '../running.ts';
import type { NatMap, NatPlane } from './nat-plane.ts';

export interface Choice {
  /** Of one tenant; absent = of all. */
  readonly slot?: Slot;
  /** Rows of sessions and mappings that are wanted. */
  readonly limit: number;
}

/** `total`: how many there are; more than there are rows when the limit was met. */
export interface Listing {
  readonly total: number;
  readonly rows: readonly Row[];
}

type Pair = readonly [key: Uint8Array, value: Uint8Array];
const word = (b: Uint8Array, at: number): number => new DataView(b.buffer, b.byteOffset).getUint32(at, true);

export const NAT_NOUNS = ['sessions', 'blocks', 'pressure', 'mappings', 'vips'] as const;
export type NatNoun = (typeof NAT_NOUNS)[number];

export class NatReadings {
  readonly #plane: NatPlane;
  readonly #journal: BlockJournal;
  readonly #names: () => NatNames;

  constructor(plane: NatPlane, journal: BlockJournal, names: () => NatNames) {
    this.#plane = plane;
    this.#journal = journal;
    this.#names = names;
  }

  list(noun: NatNoun, running: Running, choice: Choice): Promise<Listing> {
    return this[noun](choice, running);
  }

  async sessions({ slot, limit }: Choice): Promise<Listing> {
    const [flags, rdid] = [NAT.flow.offset.flags!, NAT.flow.offset.rdid!];
    const { total, found } = await this.#choose(
      'flows',
      limit,
      (_key, value) => Boolean(value[flags]! & FLOW_OPENER) && (slot === undefined || word(value, rdid) === slot),
    );
    const both = found.flatMap(([key, value]): Pair[] => {
      const twin = twinOf(key, value);
      const other = this.#plane.map('flows').get(twin);
      return other
        ? [
            [key, value],
            [twin, other],
          ]
        : [[key, value]];
    });
    return { total, rows: sessionRows(both, this.#names(), slot) };
  }

  async mappings({ slot, limit }: Choice): Promise<Listing> {
    const { total, found } = await this.#choose(
      'mappings',
      limit,
      (key) => slot === undefined || word(key, NAT.mappingKey.offset.rdid!) === slot,
    );
    const rows = mappingRows(found, this.#plane.read('statics'), this.#names(), slot);
    return { total: total + rows.filter((r) => r.Kind === 'Static').length, rows };
  }

  async blocks({ slot }: Choice, running: Running): Promise<Listing> {
    const all = blockRows(this.#plane.pools(netNatsOf(running.config)), this.#blocks(), this.#names());
    const name = slot === undefined ? undefined : this.#names().routingDomain(slot);
    const rows = all.filter((r) => name === undefined || r.RoutingDomain === name);
    return { total: rows.length, rows };
  }

  /** The gateway, pools, tenants and the hosts with the most ports: rows of four sorts. */
  async pressure({ slot }: Choice, running: Running): Promise<Listing> {
    const names = this.#names();
    const name = slot === undefined ? undefined : names.routingDomain(slot);
    const ports = NAT.host.offset.ports!;
    const top: Pair[] = [];
    for await (const batch of this.#batches('hosts')) {
      for (const [key, value] of batch)
        if (slot === undefined || word(key, NAT.hostKey.offset.rdid!) === slot) top.push([key, value]);
      top.sort(([, a], [, b]) => word(b, ports) - word(a, ports)).splice(TOP_HOSTS);
    }
    const tenants = tenantPressure(this.#plane.read('tenants'), this.#plane.read('usage'), names);
    const rows = [
      ...(slot === undefined
        ? [
            { Of: 'gateway', ...sessionPressure(this.#plane.read('usage'), this.#plane.sessions) },
            ...poolPressure(this.#plane.pools(netNatsOf(running.config)), this.#blocks()).map((r) => ({
              Of: 'pool',
              ...r,
            })),
          ]
        : []),
      ...tenants.filter((r) => name === undefined || r.RoutingDomain === name).map((r) => ({ Of: 'tenant', ...r })),
      ...topHosts(top, names, TOP_HOSTS, slot).map((r) => ({ Of: 'host', ...r })),
    ];
    return { total: rows.length, rows };
  }

  async vips({ slot }: Choice, running: Running): Promise<Listing> {
    const services = this.#plane.entries(running).services;
    const numbers = new Map(
      services.map(({ rule, index }) => [serviceKey(rule.protocol, rule.frontendIpAddress, rule.frontendPort), index]),
    );
    const sessions = new Map<string, number>();
    for await (const batch of services.length ? this.#batches('flows') : []) {
      const vips = batch.filter(([, value]) => value[NAT.flow.offset.kind!] === KIND.vip);
      for (const [dip, count] of dipSessions(vips, numbers)) sessions.set(dip, (sessions.get(dip) ?? 0) + count);
    }
    const names = this.#names();
    const slots = new Map([...running.domains].map(([s, id]) => [id, s]));
    const nameOf = (id: Parameters<typeof slots.get>[0]) => names.routingDomain(slots.get(id)!);
    const rows = vipRows(services, (s) => nameOf(s.rule.routingDomainId), sessions).filter(
      (r) => slot === undefined || r.RoutingDomain === names.routingDomain(slot),
    );
    return { total: rows.length, rows };
  }

  /** Whose the port was, and which host inside has it since no later than then. */
  async who(question: Question): Promise<{ readonly tenants: readonly Row[]; readonly inside: readonly Row[] }> {
    const records: BlockRecord[] = [];
    for await (const r of this.#journal.about(question.address))
      if (r.portStart <= question.port && question.port <= r.portEnd) records.push(r);
    const tenants = who(records, question).map((a) => ({ ...a }));
    return { tenants, inside: this.#inside(question) };
  }

  #inside({ address, port, at }: Question): readonly Row[] {
    const names = this.#names();
    const find = (map: NatMap, key: Uint8Array): Pair[] => {
      const value = this.#plane.map(map).get(key);
      return value ? [[key, value]] : [];
    };
    const protocols = Object.values(PROTOCOL_NUMBER);
    const live = protocols
      .flatMap((protocol) => find('externals', NAT.endpoint.encode({ address, port, protocol })))
      .filter(([key, value]) => {
        const { rdid, address: host, port: from, set } = NAT.inside.decode(value);
        const { protocol } = NAT.endpoint.decode(key);
        const [mapping] = find('mappings', NAT.mappingKey.encode({ rdid, address: host, port: from, protocol, set }));
        return mapping && names.boot + NAT.mapping.decode(mapping[1]).opened * 1000 <= at + 1000;
      });
    const fixed = protocols.flatMap((protocol) =>
      find('statics', NAT.staticKey.encode({ rdid: 0, address, port, protocol })),
    );
    return insideOf(live, fixed, names, address, port);
  }

  #blocks(): ReadonlyMap<number, NatBlock> {
    return new Map(this.#plane.blocks());
  }

  async #choose(
    map: NatMap,
    limit: number,
    wanted: (key: Uint8Array, value: Uint8Array) => boolean,
  ): Promise<{ readonly total: number; readonly found: readonly Pair[] }> {
    let total = 0;
    const found: Pair[] = [];
    for await (const batch of this.#batches(map))
      for (const [key, value] of batch) {
        if (!wanted(key, value)) continue;
        total++;
        if (found.length < limit) found.push([key, value]);
      }
    return { total, found };
  }

  async *#batches(map: NatMap): AsyncGenerator<readonly Pair[]> {
    for (const batch of this.#plane.map(map).batches()) {
      yield batch;
      await setImmediate();
    }
  }
}

const TOP_HOSTS = 20;

/** Key of the other entry of a session. */
function twinOf(key: Uint8Array, value: Uint8Array): Uint8Array {
  const [k, f] = [NAT.flowKey.decode(key), NAT.flow.decode(value)];
  return NAT.flowKey.encode({
    rdid: f.flags & FLOW_TO_INSIDE ? f.egress : 0,
    source: f.destination,
    destination: f.source,
    source_port: f.destination_port,
    destination_port: f.source_port,
    protocol: k.protocol,
  });
}

export type WhoAnswer = Awaited<ReturnType<NatReadings['who']>>;
