/** The values that stand in the YAML, each with the form it takes and what to do when it does not. */
import type { DscpPolicy, RoutingDomainId, SubnetMetric } from '../../compartments/compartment.ts';
import { type Address, type Family, familyOf, type Mac, parseAddress, parseMac } from '../../lib/address.ts';
import { type Prefix, parsePrefix, prefixFamily } from '../../lib/prefix.ts';
import { quoted, scalar } from './field.ts';

/** An address with the length of its prefix, `10.0.254.2/24`. */
export interface InterfaceAddress {
  readonly address: Address;
  readonly prefixLength: number;
}

const among = (values: readonly string[]): string =>
  values.length === 1 ? values[0]! : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

/** One of a closed list; `later` holds the cmdlets' values that this version does not serve. */
export const oneOf = <const T extends string>(values: readonly T[], later: readonly string[] = []) =>
  scalar<T>({ expected: among(values), later }, (text) => {
    const found = values.find((v) => v === text);
    if (found !== undefined) return { value: found };
    return { cure: `write ${among(values)}`, notServed: later.includes(text) };
  });

export const integer = (low: number, high: number) =>
  scalar<number>({ expected: `a whole number from ${low} to ${high}` }, (text) => {
    const value = /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? { value } : { cure: 'choose a number of this range' };
  });

export const integerOf = (values: readonly number[]) =>
  scalar<number>({ expected: `one of ${values.join(', ')}` }, (text) => {
    const value = values.find((v) => String(v) === text);
    return value === undefined ? { cure: 'choose one of these' } : { value };
  });

export const boolean = () =>
  scalar<boolean>({ expected: 'true or false' }, (text) => {
    const lower = text.toLowerCase();
    return lower === 'true' || lower === 'false' ? { value: lower === 'true' } : { cure: 'write true or false' };
  });

/** A TCP or UDP port. */
export const port = () => integer(1, 65535);

const RESERVED = /^(lo|all|default|c\d+|p\d+-\d+)$/;
const KERNEL_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/;

/** A name that becomes a kernel interface, connection or section name. */
export const interfaceName = () =>
  scalar<string>(
    { expected: 'an interface name (1 to 15 of A-Z a-z 0-9 _ . -, beginning with a letter or digit)' },
    (text) => {
      if (!KERNEL_NAME.test(text)) return { cure: 'shorten the name and use letters, digits, _ . and - only' };
      if (RESERVED.test(text)) return { cure: `choose another name: the system uses ${quoted(text)} itself` };
      return { value: text };
    },
  );

/** A device that exists already and is not ours to name. */
export const deviceName = () =>
  scalar<string>({ expected: 'a network device (1 to 15 characters without space, / or :)' }, (text) =>
    /^[^\s/:]{1,15}$/.test(text) && !['.', '..', 'lo', 'all', 'default'].includes(text)
      ? { value: text }
      : { cure: 'write the name that `ip link` shows' },
  );

export const objectName = () =>
  scalar<string>({ expected: 'a name (1 to 64 of A-Z a-z 0-9 _ . -, beginning with a letter or digit)' }, (text) =>
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text)
      ? { value: text }
      : { cure: 'use letters, digits, _ . and - only, at most 64' },
  );

export const routingDomainId = () =>
  scalar<RoutingDomainId>({ expected: 'a GUID in braces' }, (text) =>
    /^\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}$/i.test(text)
      ? { value: text.toLowerCase() as RoutingDomainId }
      : { cure: 'write it as "{11111111-2222-3333-4444-000000000001}", in quotes' },
  );

/** RFC 7637 §3.2 reserves 0 … 4095 and 0xFFFFFF. */
export const vsid = () => integer(4096, 16777214);

export const mac = () =>
  scalar<Mac>({ expected: 'a unicast MAC address of 12 hex digits' }, (text) => {
    const value = parseMac(text);
    const usable = value && value !== '00:00:00:00:00:00' && (Number.parseInt(value.slice(0, 2), 16) & 1) === 0;
    return usable ? { value } : { cure: 'write 12 hex digits, the second of them even, for instance "101010101105"' };
  });

const isAny = (a: Address): boolean => a === '0.0.0.0' || a === '::';
/** Loopback, multicast, limited broadcast, 0/8 and IPv6 unspecified: never an address of an interface or a peer. */
const isUnicast = (a: Address): boolean =>
  familyOf(a) === 4 ? !/^(0|127|22[4-9]|2[3-5]\d)\./.test(a) : !/^(::1?$|ff|::ffff:)/.test(a);

/** IPv4-mapped IPv6 would change its family on the way through bytes, so it is no prefix here. */
function plainPrefix(text: string): Prefix | undefined {
  const value = parsePrefix(text);
  return value && prefixFamily(value) === (text.includes(':') ? 6 : 4) ? value : undefined;
}

export interface AddressForm {
  /** `0.0.0.0` and `::` are allowed and mean on-link. */
  readonly any?: boolean;
}

export const address = ({ any = false }: AddressForm = {}) =>
  scalar<Address>({ expected: `an IPv4 or IPv6${any ? '' : ' unicast'} address` }, (text) => {
    const value = parseAddress(text);
    return value && (isUnicast(value) || (any && isAny(value)))
      ? { value }
      : { cure: text.includes('/') ? 'write the address alone, without a length' : 'write an address, not a name' };
  });

/** NAT carries IPv4 only. */
export const ipv4Address = () =>
  scalar<Address>({ expected: 'an IPv4 unicast address' }, (text) => {
    const value = parseAddress(text);
    return value && familyOf(value) === 4 && isUnicast(value)
      ? { value }
      : { cure: text.includes('/') ? 'write the address alone, without a length' : 'write an IPv4 address' };
  });

export const ipv4Prefix = () =>
  scalar<Prefix>({ expected: 'an IPv4 prefix' }, (text) => {
    const value = plainPrefix(text);
    return value && prefixFamily(value) === 4
      ? { value }
      : { cure: 'write address/length, for instance 131.107.10.0/24' };
  });

export const prefix = () =>
  scalar<Prefix>({ expected: 'an IPv4 or IPv6 prefix' }, (text) => {
    const value = plainPrefix(text);
    return value ? { value } : { cure: 'write address/length, for instance 10.0.0.0/24' };
  });

export const interfaceAddress = () =>
  scalar<InterfaceAddress>({ expected: 'an IPv4 or IPv6 host address with length' }, (text) => {
    const cut = text.indexOf('/');
    const value = parseAddress(text.slice(0, cut));
    const network = plainPrefix(text);
    if (!value || !network || !isUnicast(value)) return { cure: 'write address/length, for instance 10.0.254.2/24' };
    const prefixLength = Number(text.slice(cut + 1));
    const short = prefixLength < (familyOf(value) === 4 ? 31 : 127);
    if (prefixLength === 0 || (short && network === `${value}/${prefixLength}`))
      return { cure: 'this is the network itself: write the address of the interface in it' };
    return { value: { address: value, prefixLength } };
  });

/** RFC 2983: the tenant's own, or always one. */
export const dscp = () =>
  scalar<DscpPolicy>({ expected: 'Copy, Uniform or a number from 0 to 63' }, (text) => {
    if (text === 'Copy' || text === 'Uniform') return { value: text };
    const value = /^(0|[1-9]\d?)$/.test(text) ? Number(text) : Number.NaN;
    return value <= 63 ? { value } : { cure: 'write Copy, Uniform or the number of the code point, for instance 46' };
  });

export const DEFAULT_METRIC = 256;

/** `10.1.0.0/24:100`, `2001:db8:2::/48:100`; the metric follows the last colon and may be left out. */
export const subnetMetric = (family: Family) =>
  scalar<SubnetMetric>({ expected: `an IPv${family} prefix with metric` }, (text) => {
    const cure = `write prefix/length:metric, for instance ${family === 4 ? '10.1.0.0/24:100' : '2001:db8:2::/48:100'}`;
    const m = /^(.+\/\d{1,3})(?::(\d{1,5}))?$/.exec(text);
    const value = plainPrefix(m?.[1] ?? '');
    const metric = m?.[2] === undefined ? DEFAULT_METRIC : Number(m[2]);
    if (!value || prefixFamily(value) !== family) return { cure };
    return metric >= 1 && metric <= 65535
      ? { value: { prefix: value, metric } }
      : { cure: 'choose a metric from 1 to 65535' };
  });

/** Any text of one line; never shown. */
export const secretText = () => scalar<string>({ expected: 'text of one line' }, (text) => ({ value: text }));

export const fileName = () =>
  scalar<string>({ expected: 'a file name' }, (text) =>
    text !== '' && !text.includes('\0') ? { value: text } : { cure: 'write the path of the file' },
  );

/** Origin-form of RFC 9112 §3.2.1, visible ASCII only: it is put into a request as it is. */
export const requestPath = () =>
  scalar<string>({ expected: 'the path of a request' }, (text) =>
    /^\/[!-~]{0,255}$/.test(text)
      ? { value: text }
      : { cure: 'begin it with /, without spaces, at most 256 characters' },
  );
