/** Ending SAs by ike-id: a child's name would match in every connection, and half-open SAs of peers bear no name yet. */
import { type Message, message, sectionsOf, textOf } from '../vici/codec.ts';
import type { ViciClient } from '../vici/io/client.ts';
import { ViciError } from '../vici/io/connection.ts';

/** Every SA of a connection, half-open or established. */
export const terminateConnection = (client: ViciClient, name: string): Promise<void> =>
  terminateWhere(client, name, () => true);

/** What a dial left behind; an SA that the peer brought up in the meantime stays. */
export const terminateHalfOpen = (client: ViciClient, name: string): Promise<void> =>
  terminateWhere(client, name, (sa) => ['CREATED', 'CONNECTING'].includes(textOf(sa, 'state') ?? ''));

async function terminateWhere(client: ViciClient, name: string, which: (sa: Message) => boolean): Promise<void> {
  for (const item of await client.stream('list-sas', 'list-sa', message({ ike: name })))
    for (const [n, sa] of sectionsOf(item)) {
      const id = textOf(sa, 'uniqueid');
      if (n === name && id !== undefined && which(sa)) await terminateIke(client, id);
    }
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
