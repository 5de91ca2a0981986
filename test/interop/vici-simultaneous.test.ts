/** Two gateways of ours, both persistent, that dial each other at the same moment: one tunnel stays, and both know which. */
import assert from 'node:assert/strict';
import { CharonHand } from '../../vpn/io/charon-hand.ts';
import { TunnelMonitor } from '../../vpn/io/monitor.ts';
import { connectionResource } from '../../vpn/s2s/connection.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { sectionsOf, textOf } from '../../vpn/vici/codec.ts';
import { address, CONTOSO, s2s } from '../vpn/fixtures.ts';
import { Charon, charonMissing, ip, until } from './vici-charon.ts';

const missing = charonMissing();
const userspace = (conf: string) => conf.replace(' kernel-netlink', ' kernel-libipsec kernel-netlink');

class End {
  readonly charon = new Charon({ edit: userspace });
  readonly monitor = new TunnelMonitor({ path: this.charon.socket, relistMs: 300 });
  readonly hand = new CharonHand({ client: () => this.monitor.client(), slots: () => new Map() });
  readonly terminated: string[] = [];
  readonly #watched: WatchedInterface;
  readonly #local: string;

  constructor(local: string, destination: string) {
    this.#local = local;
    this.#watched = { ...CONTOSO, interface: s2s({ destination: address(destination), retryIntervalSeconds: 1 }) };
    this.monitor.on('notice', (text) => this.terminated.push(text));
  }
  async load(): Promise<void> {
    const back = new Promise<void>((resolve) => this.monitor.once('charonBack', resolve));
    this.charon.start();
    this.monitor.start();
    await back;
    const { interface: i, slot, ifId } = this.#watched;
    const resource = connectionResource(i, { slot, ifId, localAddress: address(this.#local) }, Buffer.alloc(32));
    await this.hand.execute({ verb: 'create', resource, impact: 'none' });
  }
  dial = () => this.monitor.setInterfaces([this.#watched]);
  get connected(): boolean {
    return this.monitor.states().get('IfCe1')?.connectionState === 'Connected';
  }
  /** SPIs of the established IKE_SAs, as both ends write them. */
  async sas(): Promise<readonly string[]> {
    const items = await this.monitor.client().stream('list-sas', 'list-sa');
    return items
      .flatMap((m) => sectionsOf(m))
      .filter(([, sa]) => textOf(sa, 'state') === 'ESTABLISHED')
      .map(([, sa]) => `${textOf(sa, 'initiator-spi')} ${textOf(sa, 'responder-spi')}`);
  }
}

describe(`simultaneous dials, with real charons${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(240_000);
  const ends: End[] = [];

  before(async function () {
    if (missing) this.skip();
    ends.push(new End('131.107.10.10', '131.107.10.20'), new End('131.107.10.20', '131.107.10.10'));
    const [a, b] = ends.map((e) => e.charon.netns) as [string, string];
    ip('link', 'add', 'wire', 'netns', a, 'type', 'veth', 'peer', 'name', 'wire', 'netns', b);
    for (const [netns, local] of [
      [a, '131.107.10.10/24'],
      [b, '131.107.10.20/24'],
    ] as const) {
      ip('-n', netns, 'addr', 'add', local, 'dev', 'wire');
      ip('-n', netns, 'link', 'set', 'wire', 'up');
    }
    for (const e of ends) await e.load();
  });
  after(async () => {
    for (const e of ends) {
      await e.monitor.stop();
      await e.charon.remove();
    }
  });

  it('end as one tunnel that both ends agree on', async () => {
    for (const e of ends) e.dial();
    const agreed = async () => {
      const [a, b] = await Promise.all(ends.map((e) => e.sas()));
      return ends.every((e) => e.connected) && a!.length === 1 && a![0] === b![0];
    };
    await until('one SA on both ends', agreed, () => ends.map((e) => e.terminated));
    const [sa] = await ends[0]!.sas();
    // It is still the same one after both have listed again.
    const listed = ends.map((e) => e.charon.log().split('list-sas').length);
    await until('two more lists each', () =>
      ends.every((e, i) => e.charon.log().split('list-sas').length >= listed[i]! + 2),
    );
    assert.ok(await agreed());
    assert.deepEqual(await ends[0]!.sas(), [sa]);
  });
});
