/**
 * A policy of a given size for one host: every VM network has 25 customer routes, and two VMs as in VMM's limits (4,000 VM
 * networks, 8,000 VMs); the first network holds all records that are left, and the VM that sends. Pure.
 */
import type { CustomerRoute, LookupRecord } from '../compartments/compartment.ts';
import { FIRST_SLOT } from '../compartments/numbers.ts';
import type { OverlayDomain, OverlayInput } from '../encap/overlay.ts';
import { type Address, addressFromBytes, type Mac, macFromBytes } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';

export interface Size {
  readonly records: number;
  readonly networks: number;
}
export const SIZES = {
  ten: { records: 10, networks: 1 },
  tenThousand: { records: 10_000, networks: 40 },
  million: { records: 1_000_000, networks: 4_000 },
} as const satisfies Readonly<Record<string, Size>>;
export type SizeName = keyof typeof SIZES;

export const ROUTES_PER_NETWORK = 25;
const SMALL_NETWORK = 2;
/** The host that is measured, and the hosts where the other VMs are. */
export const HOST_PA = '192.168.0.10' as Address;
export const HOSTS = 64;
export const providerOf = (host: number): Address => `192.168.1.${10 + host}` as Address;
/** Of the sending VM; the addresses after it are the other VMs of its network. */
export const VM_ADDRESS = '10.0.0.2' as Address;

const number4 = (n: number): Uint8Array => Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n);
const NETWORK = 0x0a000000; // 10.0.0.0
export const addressAt = (i: number): Address => addressFromBytes(number4(NETWORK + 2 + i));
export const macAt = (i: number): Mac => macFromBytes(Uint8Array.of(0x02, 0x10, ...number4(i)));

export const recordsOfFirst = ({ records, networks }: Size): number => records - SMALL_NETWORK * (networks - 1);

function customerRoutes(vsid: number): readonly CustomerRoute[] {
  const onLink = (of: number, prefix: string) => ({ vsid: of, destinationPrefix: prefix as Prefix, metric: 0 });
  const through = Array.from({ length: ROUTES_PER_NETWORK - 2 }, (_, i) => ({
    ...onLink(vsid + 1, `172.16.${i}.0/24`),
    nextHop: addressAt(1),
  }));
  return [onLink(vsid, '10.0.0.0/12'), onLink(vsid + 1, '10.254.0.0/24'), ...through];
}

/** Record 0 is the VM on the measured host, the others are spread over the other hosts. */
const lookupRecord = (vsid: number, i: number): LookupRecord => ({
  customerAddress: addressAt(i),
  mac: macAt(i),
  vsid,
  providerAddress: i === 0 ? HOST_PA : providerOf(i % HOSTS),
  rule: 'TranslationMethodEncap',
  type: 'Static',
});

export function policy(size: Size, port: string): readonly OverlayDomain[] {
  return Array.from({ length: size.networks }, (_, n) => {
    const vsid = 4096 + 2 * n;
    return {
      name: `Network${n}`,
      slot: FIRST_SLOT + n,
      ports:
        n === 0 ? [{ name: 'VM', device: port, vsid, mac: macAt(0), addresses: [VM_ADDRESS], gateway: false }] : [],
      customerRoutes: customerRoutes(vsid),
      lookupRecords: Array.from({ length: n === 0 ? recordsOfFirst(size) : SMALL_NETWORK }, (_, i) =>
        lookupRecord(vsid, i),
      ),
    };
  });
}

export const provider = (
  device: string,
): Pick<OverlayInput, 'netAdapters' | 'providerAddresses' | 'providerRoutes'> => ({
  netAdapters: [{ interfaceAlias: 'NIC1', device, role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: HOST_PA, prefixLength: 16 }],
  providerRoutes: [],
});
