/**
 * The hand for charon connections (R-S2S). Read back by name (get-conns) and by the ids of the secrets (get-shared), which
 * carry a digest of what was loaded (`s2s/connection.ts`). What bears no such id is not ours and is never touched.
 */
import { DEFAULT_SLOT, type Slot } from '../../compartments/numbers.ts';
import type { AnyResource, Hand, Kind, Op } from '../../compartments/resource.ts';
import { loadShared, parseSharedId, type S2sConnection } from '../s2s/connection.ts';
import { listOf, message } from '../vici/codec.ts';
import type { ViciClient } from '../vici/io/client.ts';
import { endConnection, ignoringRefusal } from './terminate.ts';

export interface CharonHandOptions {
  /** The client of the moment; throws while charon is lost. */
  readonly client: () => ViciClient;
  /** The slot of each S2S interface the gateway knows. A connection of ours under another name gets DEFAULT_SLOT. */
  readonly slots: () => ReadonlyMap<string, Slot>;
}

export class CharonHand implements Hand {
  readonly kinds: readonly Kind[] = ['connection'];
  readonly #client: CharonHandOptions['client'];
  readonly #slots: CharonHandOptions['slots'];

  constructor({ client, slots }: CharonHandOptions) {
    this.#client = client;
    this.#slots = slots;
  }

  async observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    const client = this.#client();
    const loaded = new Set(listOf(await client.call('get-conns'), 'conns'));
    const digests = await sharedDigests(client);
    const slots = this.#slots();
    const names = new Set([...digests.keys(), ...[...loaded].filter((n) => slots.has(n))]);
    return [...names]
      .map(
        (name): AnyResource => ({
          kind: 'connection',
          key: name,
          slot: slots.get(name) ?? DEFAULT_SLOT,
          spec: { digest: digestOf(loaded.has(name), digests.get(name) ?? []) },
          label: `S2S interface ${name}`,
        }),
      )
      .filter((r) => slot === 'all' || r.slot === slot);
  }

  async execute({ verb, resource }: Op): Promise<void> {
    if (resource.kind !== 'connection') throw new Error(`charon hand: not for ${resource.kind}`);
    const client = this.#client();
    const name = resource.key;
    if (verb !== 'create') await unload(client, name);
    if (verb !== 'delete') await load(client, resource.payload as S2sConnection);
  }
}

/**
 * The connection first, so that the peer cannot come back; then its SAs, which were authenticated by what goes; the secret
 * last: until all is done its id says that something is left, also to a gateway that starts again half-way.
 */
async function unload(client: ViciClient, name: string): Promise<void> {
  await ignoringRefusal(client.call('unload-conn', message({ name })));
  await endConnection(client, name);
  for (const digest of (await sharedDigests(client)).get(name) ?? [])
    await ignoringRefusal(client.call('unload-shared', message({ id: `${name}@${digest}` })));
}

/**
 * SAs of a former load of this name were authenticated by something that cannot be seen any more. The secret comes last: its
 * digest says that the connection is loaded.
 */
async function load(client: ViciClient, c: S2sConnection): Promise<void> {
  await endConnection(client, c.name);
  await client.call('load-conn', c.connection);
  await client.call('load-shared', loadShared(c));
}

/** Digests of our secrets by connection name. */
async function sharedDigests(client: ViciClient): Promise<ReadonlyMap<string, readonly string[]>> {
  const out = new Map<string, string[]>();
  for (const id of listOf(await client.call('get-shared'), 'keys')) {
    const ours = parseSharedId(id);
    if (ours) out.set(ours.name, [...(out.get(ours.name) ?? []), ours.digest]);
  }
  return out;
}

/** One secret under a loaded connection is its digest; anything else reads as a text that no desired digest equals. */
const digestOf = (loaded: boolean, digests: readonly string[]): string =>
  loaded && digests.length === 1
    ? digests[0]!
    : `${loaded ? 'loaded' : 'not loaded'}: ${[...digests].sort().join(' ')}`;
