/** What the control plane's maps hold already, so that numbers stay with whoever has them. Pure: entries in, decisions out. */
import type { Address } from '../lib/address.ts';
import { KIND, NAT } from './abi.ts';
import type { FormerPool } from './blocks.ts';
import { u32 } from './layout.ts';
import { protocolName } from './protocol.ts';
import { type FormerServices, serviceKey } from './services.ts';

export interface NatFormer extends FormerServices {
  readonly pools: readonly FormerPool[];
}

/** What the control plane's maps hold, as `former` of the next question. Entries as bytes. */
export function formerOf(entries: Iterable<readonly [map: string, key: Uint8Array, value: Uint8Array]>): NatFormer {
  const pools: FormerPool[] = [];
  const services = new Map<string, number>();
  const dips = new Map<number, Map<Address, number>>();
  for (const [map, key, value] of entries) {
    if (map === 'pools') {
      const p = NAT.pool.decode(value);
      if (!p.device) continue;
      const index = u32.get(new DataView(key.buffer, key.byteOffset), 0);
      const range = { address: p.address, portStart: p.port_start, blockPorts: p.block_ports };
      pools.push({ ...range, index, firstBlock: p.first_block, blocks: p.blocks });
    } else if (map === 'statics') {
      const [k, s] = [NAT.staticKey.decode(key), NAT.static.decode(value)];
      if (s.kind === KIND.vip) services.set(serviceKey(protocolName(k.protocol), k.address, k.port), s.service);
    } else if (map === 'dips') {
      const [k, d] = [NAT.dipKey.decode(key), NAT.dip.decode(value)];
      const of = dips.get(k.service) ?? new Map<Address, number>();
      dips.set(k.service, of.set(d.address, k.dip));
    }
  }
  return { pools, services, dips };
}
