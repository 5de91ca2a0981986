/**
 * What charon is told about a site-to-site interface with a pre-shared key: the load-conn and load-shared messages
 * (R-S2S-1 … R-S2S-3; strongSwan 5.9.8 vici). One connection, one child and one secret per interface, all named after it,
 * since charon matches child names over all connections.
 *
 * charon takes almost anything without complaint, so every rule is kept here: the if_id is fixed (a generated one starts again
 * at 1 after a crash and leaks between tenants), the secret has an owner (an ownerless one matches every peer), nothing starts
 * by itself (the life cycle machine dials).
 */
import { createHmac } from 'node:crypto';
import type { S2sInterface, Secret } from '../../compartments/compartment.ts';
import type { Slot } from '../../compartments/numbers.ts';
import type { Resource } from '../../compartments/resource.ts';
import type { Address } from '../../lib/address.ts';
import { encodeMessage, type Message, message } from '../vici/codec.ts';

/** IKE retransmission as in image/charon/strongswan.conf: charon gives up TIMEOUT · (1 + BASE + BASE² + BASE³) after a loss. */
export const RETRANSMIT = { tries: 3, timeoutSeconds: 1, base: 1.5 } as const;
export const GIVE_UP_SECONDS = Array.from(
  { length: RETRANSMIT.tries + 1 },
  (_, i) => RETRANSMIT.timeoutSeconds * RETRANSMIT.base ** i,
).reduce((a, b) => a + b, 0);

/** Where the interface lives: `localAddress` is the gateway's external address, used when SourceIpAddress is not given. */
export interface S2sPlacement {
  readonly slot: Slot;
  readonly ifId: number;
  readonly localAddress: Address;
}

/** What the hand needs to load a connection; the payload of the `connection` resource. */
export interface S2sConnection {
  readonly name: string;
  /** load-conn */
  readonly connection: Message;
  /** load-shared: owners of the secret, and the id under which it reads back, `<name>@<digest>`. */
  readonly sharedId: string;
  readonly owners: readonly Address[];
  readonly secret: Secret;
}

const ANY = ['0.0.0.0/0', '::/0'];
/** Rekeying starts at 90 % of a life time (charon spreads it down to 80 %), so that no SA outlives what the operator set. */
const rekeyOf = (lifeTimeSeconds: number): number => Math.floor(lifeTimeSeconds * 0.9);

export function loadConn(i: S2sInterface, at: S2sPlacement): Message {
  const local = i.sourceIpAddress ?? at.localAddress;
  const connection = message({
    version: '2',
    local_addrs: [local],
    remote_addrs: [i.destination],
    // With MOBIKE the peers would tell each other their inner addresses.
    mobike: 'no',
    fragmentation: 'yes',
    unique: 'replace',
    keyingtries: '1',
    // The peer is declared dead when a probe and its retransmissions were lost.
    dpd_delay: String(Math.max(1, Math.floor(i.networkOutageTimeSeconds - GIVE_UP_SECONDS))),
    proposals: ['aes256-sha384-ecp384', 'aes256gcm16-prfsha384-ecp384'],
    rekey_time: String(rekeyOf(i.mmSaLifeTimeSeconds)),
    over_time: String(i.mmSaLifeTimeSeconds - rekeyOf(i.mmSaLifeTimeSeconds)),
    local: { auth: 'psk', id: local },
    remote: { auth: 'psk', id: i.destination },
    children: new Map([
      [
        i.name,
        message({
          mode: 'tunnel',
          local_ts: ANY,
          remote_ts: ANY,
          if_id_in: String(at.ifId),
          if_id_out: String(at.ifId),
          esp_proposals: ['aes256gcm16-ecp384', 'aes256gcm16-x25519'],
          rekey_time: String(rekeyOf(i.saLifeTimeSeconds)),
          life_time: String(i.saLifeTimeSeconds),
          start_action: 'none',
          close_action: 'none',
          dpd_action: 'clear',
        }),
      ],
    ]),
  });
  return new Map([[i.name, connection]]);
}

/** `data` is the only place where a secret becomes text. */
export const loadShared = (c: S2sConnection): Message =>
  message({ id: c.sharedId, type: 'IKE', data: c.secret.reveal(), owners: c.owners });

/**
 * charon gives neither a connection nor a secret back, only names and the ids of secrets. So the id carries a keyed digest
 * over both: 16 hex digits of HMAC-SHA-256 over the load-conn message and the secret. Keyed, so that the id, which charon
 * prints in its log, is no oracle for guessing the secret.
 */
export function s2sConnection(i: S2sInterface, at: S2sPlacement, digestKey: Uint8Array): S2sConnection {
  const connection = loadConn(i, at);
  const bytes = encodeMessage(connection);
  if (!bytes.ok) throw new RangeError(`S2S interface ${i.name}: ${bytes.error}`);
  const owners = [i.destination];
  const digest = createHmac('sha256', digestKey)
    .update(bytes.value)
    .update(`\0${owners.join('\0')}\0`)
    .update(i.sharedSecret.reveal())
    .digest('hex')
    .slice(0, 16);
  return { name: i.name, connection, owners, secret: i.sharedSecret, sharedId: `${i.name}@${digest}` };
}

/** The desired resource of an enabled interface; one that is administratively disabled has none, so that charon refuses its peer. */
export function connectionResource(
  i: S2sInterface,
  at: S2sPlacement,
  digestKey: Uint8Array,
): Resource<'connection'> & { readonly payload: S2sConnection } {
  const payload = s2sConnection(i, at, digestKey);
  return {
    kind: 'connection',
    key: i.name,
    slot: at.slot,
    spec: { digest: payload.sharedId.slice(i.name.length + 1) },
    label: `S2S interface ${i.name}`,
    payload,
  };
}

/** The name and digest in the id of a secret of ours. */
export function parseSharedId(id: string): { readonly name: string; readonly digest: string } | undefined {
  const m = /^(.+)@([0-9a-f]{16})$/s.exec(id);
  return m ? { name: m[1]!, digest: m[2]! } : undefined;
}
