/** S2S interfaces and vici messages as the tests of vpn/ use them: two tenants that differ in nothing but their names. */
import type { S2sInterface } from '../../compartments/compartment.ts';
import { ifIdOf } from '../../compartments/numbers.ts';
import { type Address, parseAddress } from '../../lib/address.ts';
import { type Message, message } from '../../vpn/vici/codec.ts';

export const address = (text: string): Address => {
  const a = parseAddress(text);
  if (!a) throw new Error(text);
  return a;
};

export const s2s = (over: Partial<S2sInterface> = {}): S2sInterface => ({
  name: 'IfCe1',
  adminStatus: true,
  destination: address('59.10.10.10'),
  authenticationMethod: 'PSKOnly',
  sharedSecret: { reveal: () => 'correct horse battery staple' },
  subnets: [],
  persistent: true,
  retryIntervalSeconds: 60,
  numberOfTries: 0,
  networkOutageTimeSeconds: 15,
  saLifeTimeSeconds: 3600,
  mmSaLifeTimeSeconds: 28800,
  ...over,
});

/** Contoso's and Woodgrove's: slots 2 and 3. */
export const CONTOSO = { interface: s2s(), slot: 2, ifId: ifIdOf(2, 1) };
export const WOODGROVE = {
  interface: s2s({ name: 'IfWe1', destination: address('59.10.10.100') }),
  slot: 3,
  ifId: ifIdOf(3, 1),
};

export interface Sa {
  readonly name?: string;
  readonly id?: string;
  readonly state?: string;
  readonly established?: number;
  readonly spi?: string;
  /** Address and identity of the peer; without them those of the interface's Destination. */
  readonly host?: string;
  readonly remoteId?: string;
  readonly child?: { readonly id?: string; readonly state?: string; readonly ifId?: number } | undefined;
}

/** The body of an IKE_SA as in list-sa and the events; without `child` it has none. */
export const ikeSection = ({
  name,
  id = '1',
  state = 'ESTABLISHED',
  established = 1,
  spi = `a${id}`,
  host = (name === 'IfWe1' ? WOODGROVE : CONTOSO).interface.destination,
  remoteId = host,
  child,
}: Sa): Message =>
  message({
    uniqueid: id,
    version: '2',
    state,
    'initiator-spi': spi,
    'responder-spi': 'b',
    'remote-host': host,
    'remote-port': '4500',
    'remote-id': remoteId,
    established: String(established),
    ...(child && { 'child-sas': { [`child-${child.id ?? '1'}`]: childSection(child) } }),
  });

export const childSection = ({ id = '1', state = 'INSTALLED', ifId = CONTOSO.ifId } = {}): Message => {
  const hex = ifId.toString(16).padStart(8, '0');
  return message({ name: 'IfCe1', uniqueid: id, state, 'if-id-in': hex, 'if-id-out': hex });
};

export const listSa = (sa: Sa): Message => new Map([[sa.name ?? 'IfCe1', ikeSection(sa)]]);
export const upDown = (up: boolean, sa: Sa): Message =>
  new Map([...(up ? [['up', 'yes'] as const] : []), ...listSa(sa)]);
