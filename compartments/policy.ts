/**
 * Rules over the overlay policy of VM networks that hold on gateways and hosts alike (R-POL-2, R-ENC-2, R-ENC-4, R-ENC-9).
 * Pure; the paths are those of the runtime shape, beginning with the index of the VM network: `[1, 'lookupRecords', 3, 'mac']`.
 */
import { type Address, familyOf, isGroup, type Mac, NO_MAC, putMac, putMapped } from '../lib/address.ts';
import { covering, prefixFamily, routerOf } from '../lib/prefix.ts';
import type { CustomerRoute, LookupRecord, LookupRecordType, Vsid } from './compartment.ts';
import { EntryTable } from './entry-table.ts';
import { DEFAULT_SLOT } from './numbers.ts';
import { type PolicyDomain, type PolicyPath, type PolicyProblem, ROUTER_MAC } from './policy-domain.ts';
import { gatewayProblems } from './policy-gateway.ts';
import { plainProblems } from './policy-plain.ts';
import { subnetProblems } from './policy-subnets.ts';

export { type PolicyDomain, ROUTER_MAC } from './policy-domain.ts';

/** An address or MAC that something in the VM network holds. Words and paths are made when there is a problem to tell. */
interface Holder {
  readonly path: PolicyPath;
  readonly name: string;
  readonly vsid: Vsid;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  addressPath(index: number): PolicyPath;
  /** Where it is: two holders with one MAC are one machine only when this is the same. */
  readonly place: string;
  readonly record: boolean;
  readonly type?: LookupRecordType;
}

/** L2Only records tell where a MAC is, wildcards where a gateway is; their address is a placeholder (R-ENC-8, R-ENC-9). */
class RecordHolder implements Holder {
  readonly #of: LookupRecord;
  readonly #domain: number;
  readonly #index: number;
  readonly record = true;
  readonly vsid: Vsid;
  readonly mac: Mac;

  constructor(of: LookupRecord, domain: number, index: number) {
    this.#of = of;
    this.#domain = domain;
    this.#index = index;
    this.vsid = of.vsid;
    this.mac = of.mac;
  }
  get addresses(): readonly Address[] {
    return this.type === 'L2Only' || this.type === 'GatewayWildcard' ? NO_ADDRESSES : [this.#of.customerAddress];
  }
  get type(): LookupRecordType {
    return this.#of.type;
  }
  get place(): string {
    return this.#of.providerAddress;
  }
  get name(): string {
    return `lookup record ${this.#of.customerAddress}`;
  }
  get path(): PolicyPath {
    return [this.#domain, 'lookupRecords', this.#index];
  }
  addressPath(): PolicyPath {
    return [...this.path, 'customerAddress'];
  }
}

const NO_ADDRESSES: readonly Address[] = [];

const recordHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  d.lookupRecords.map((r, i) => new RecordHolder(r, index, i));

const interfaceHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  (d.internalInterfaces ?? []).map((n, i) => {
    const path = [index, 'internalInterfaces', i];
    return {
      path,
      name: `internal interface ${n.name}`,
      vsid: n.vsid,
      mac: n.mac,
      addresses: n.addresses.map((a) => a.address),
      addressPath: (j) => [...path, 'addresses', j, 'address'],
      place: `interface ${n.name}`,
      record: false,
    };
  });

const portHolders = (d: PolicyDomain, index: number): readonly Holder[] =>
  (d.ports ?? []).map((p, i) => {
    const path = [index, 'ports', i];
    return {
      path,
      name: `port ${p.name}`,
      vsid: p.vsid,
      mac: p.mac,
      addresses: p.addresses,
      addressPath: (j) => [...path, 'addresses', j],
      place: `port ${p.device}`,
      record: false,
    };
  });

/**
 * The first holder of each address or MAC. By their numbers and in arrays: two maps of texts took most of the time that the
 * rules need for a million records.
 */
class FirstHolders {
  readonly #rows: EntryTable;
  readonly #holders: Holder[] = [];
  readonly #key: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #put: (bytes: Uint8Array, text: string) => void;

  constructor(what: string, keySize: number, put: (bytes: Uint8Array, text: string) => void, rows: number) {
    this.#rows = new EntryTable(what, keySize, 0, rows);
    this.#key = new Uint32Array(keySize / 4);
    this.#bytes = new Uint8Array(this.#key.buffer);
    this.#put = put;
  }

  /** Who had it before; undefined when it is this one now. */
  claim(text: string, holder: Holder): Holder | undefined {
    this.#bytes.fill(0);
    this.#put(this.#bytes, text);
    const row = this.#rows.find(this.#key);
    if (row >= 0) return this.#holders[row];
    this.#rows.put(DEFAULT_SLOT, this.#key, NO_VALUE);
    this.#holders.push(holder);
    return undefined;
  }
}

const NO_VALUE = new Uint32Array(0);
const ADDRESS_BYTES = 16;
const MAC_BYTES = 8; // whole words

/** A VM that moved is learned at its new place while the L2Only record still tells the former one. */
const mayDiffer = (a: Holder, b: Holder): boolean =>
  (a.type === 'L2Only' && b.type === 'Dynamic') || (a.type === 'Dynamic' && b.type === 'L2Only');

/**
 * Address and MAC are unique in a VM network. A record and the local port or interface that it describes are the same thing:
 * every host is given the records of its own VMs too.
 */
function uniqueness(holders: readonly Holder[]): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const byAddress = new FirstHolders(
    'addresses',
    ADDRESS_BYTES,
    (b, a) => putMapped(b, 0, a as Address),
    holders.length,
  );
  const byMac = new FirstHolders('MACs', MAC_BYTES, (b, m) => putMac(b, 0, m as Mac), holders.length);
  for (const h of holders) {
    const { addresses } = h;
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[i]!;
      const other = byAddress.claim(address, h);
      const described = other && other.record !== h.record && other.mac === h.mac && other.vsid === h.vsid;
      if (other && !described)
        problems.push({
          path: h.addressPath(i),
          problem: `${address} is already held by ${other.name} in this VM network`,
          cure: 'Give each customer address to one adapter; remove one of the two.',
        });
    }
    if (h.mac === ROUTER_MAC) continue;
    const twin = byMac.claim(h.mac, h);
    if (twin && (twin.vsid !== h.vsid || (twin.record === h.record && twin.place !== h.place && !mayDiffer(twin, h))))
      problems.push({
        path: [...h.path, 'mac'],
        problem: `MAC ${h.mac} is already used by ${twin.name} in this VM network`,
        cure: 'Give each adapter a MAC of its own.',
      });
  }
  return problems;
}

function reservedAddresses(d: PolicyDomain, holders: readonly Holder[]): readonly PolicyProblem[] {
  const onLink = d.customerRoutes
    .filter((r) => r.nextHop === undefined)
    .map(({ vsid, destinationPrefix }) => ({
      vsid,
      destinationPrefix,
      covers: covering(destinationPrefix),
      router: routerOf(destinationPrefix),
    }));
  const problems: PolicyProblem[] = [];
  for (const h of holders) {
    const unusable = h.mac === ROUTER_MAC ? !h.record : isGroup(h.mac) || h.mac === NO_MAC;
    if (unusable)
      problems.push({
        path: [...h.path, 'mac'],
        problem: `MAC ${h.mac} is reserved, zero or a group address`,
        cure: 'Choose a unicast MAC of the adapter itself.',
      });
    const { addresses } = h;
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[i]!;
      if (h.record && (address === '0.0.0.0' || address === '::'))
        problems.push({
          path: h.addressPath(i),
          problem: `${address} is no address of an adapter`,
          cure: 'Write its address, or the type L2Only when it is not known.',
        });
      const subnet = onLink.find((r) => r.vsid === h.vsid && r.covers(address));
      const router = subnet?.router === address;
      if (router && !(h.record && h.mac === ROUTER_MAC))
        problems.push({
          path: h.addressPath(i),
          problem: `${address} is reserved for the distributed router of ${subnet.destinationPrefix}`,
          cure: 'Use another address of the subnet; the first one belongs to the router.',
        });
      else if (h.mac === ROUTER_MAC && !router)
        problems.push({
          path: h.addressPath(i),
          problem: `MAC ${ROUTER_MAC} belongs to the distributed router, ${address} does not`,
          cure: 'Give the adapter its own MAC.',
        });
    }
  }
  return problems;
}

function routeProblems(d: PolicyDomain, index: number): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const seen = new Map<string, CustomerRoute>();
  d.customerRoutes.forEach((r, i) => {
    const key = `${r.destinationPrefix} ${r.metric}`;
    if (seen.has(key))
      problems.push({
        path: [index, 'customerRoutes', i, 'destinationPrefix'],
        problem: `customer route ${r.destinationPrefix} is already there with metric ${r.metric}`,
        cure: 'Remove one of the two, or give it another metric.',
      });
    else seen.set(key, r);
    if (r.nextHop !== undefined && familyOf(r.nextHop) !== prefixFamily(r.destinationPrefix))
      problems.push({
        path: [index, 'customerRoutes', i, 'nextHop'],
        problem: `${r.nextHop} and ${r.destinationPrefix} are of different families`,
        cure: 'Use IPv4 with IPv4, IPv6 with IPv6.',
      });
  });
  return problems;
}

/** Each virtual subnet of a VM network, with the first path that names it. */
function vsidsOf(d: PolicyDomain, index: number): ReadonlyMap<Vsid, PolicyPath> {
  const paths = new Map<Vsid, PolicyPath>();
  for (const list of ['internalInterfaces', 'ports', 'customerRoutes', 'lookupRecords', 'virtualSubnets'] as const) {
    const items: readonly { vsid: Vsid }[] = d[list] ?? [];
    for (let i = 0; i < items.length; i++) {
      const { vsid } = items[i]!;
      if (!paths.has(vsid)) paths.set(vsid, [index, list, i, 'vsid']);
    }
  }
  return paths;
}

/** All problems of all VM networks, in the order of the networks. */
export function policyProblems(domains: readonly PolicyDomain[]): readonly PolicyProblem[] {
  const owner = new Map<Vsid, PolicyDomain>();
  const each = domains.flatMap((d, index) => {
    const holders = [...interfaceHolders(d, index), ...portHolders(d, index), ...recordHolders(d, index)];
    const stolen = [...vsidsOf(d, index)].flatMap(([vsid, path]) => {
      const first = owner.get(vsid) ?? d;
      owner.set(vsid, first);
      if (first === d) return [];
      return [
        {
          path,
          problem: `virtual subnet ${vsid} already belongs to routing domain ${first.routingDomain}`,
          cure: 'Use a virtual subnet id that no other routing domain has.',
        },
      ];
    });
    return [
      ...stolen,
      ...uniqueness(holders),
      ...reservedAddresses(d, holders),
      ...gatewayProblems(d, index),
      ...subnetProblems(d, index),
      ...routeProblems(d, index),
    ];
  });
  return [...each, ...plainProblems(domains)];
}
