/** Ending SAs by ike-id: a child's name would match in every connection, and half-open SAs of peers bear no name yet. */
import { type Message, message, sectionsOf, textOf } from '../vici/codec.ts';
import type { ViciClient } from '../vici/io/client.ts';
import { ViciError } from '../vici/io/connection.ts';

/** An SA that is rekeyed while it is terminated goes on under another number, once; more than that is not chance. */
const ROUNDS = 5;

/** Every SA of a connection, half-open or established. */
export async function terminateConnection(client: ViciClient, name: string): Promise<void> {
  await terminateWhere(client, name, () => true);
}

/** As `terminateConnection`, and returns only when none is left; throws when SAs keep coming: the connection must be unloaded. */
export async function endConnection(client: ViciClient, name: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) if ((await terminateWhere(client, name, () => true)) === 0) return;
  throw new Error(`SAs of ${name} are still there after they were terminated ${ROUNDS} times`);
}

/** What a dial left behind; an SA that the peer brought up in the meantime stays. */
export async function terminateHalfOpen(client: ViciClient, name: string): Promise<void> {
  await terminateWhere(client, name, (sa) => ['CREATED', 'CONNECTING'].includes(textOf(sa, 'state') ?? ''));
}

/** How many there were. */
async function terminateWhere(client: ViciClient, name: string, which: (sa: Message) => boolean): Promise<number> {
  let found = 0;
  for (const item of await client.stream('list-sas', 'list-sa', message({ ike: name })))
    for (const [n, sa] of sectionsOf(item)) {
      const id = textOf(sa, 'uniqueid');
      if (n !== name || id === undefined || !which(sa)) continue;
      await terminateIke(client, id);
      found++;
    }
  return found;
}

/** Sends the DELETE and forgets the SA at once; one that is already gone is no failure. */
export const terminateIke = (client: ViciClient, uniqueId: string): Promise<void> =>
  ignoringRefusal(client.call('terminate', message({ 'ike-id': uniqueId, force: 'yes' })));

/** charon refuses to take away what is not there. */
export async function ignoringRefusal(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (e) {
    if (!(e instanceof ViciError && e.code === 'REFUSED')) throw e;
  }
}
