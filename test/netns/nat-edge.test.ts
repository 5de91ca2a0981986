import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Address, Mac } from '../../lib/address.ts';
import { type Edge, EXTERNAL, FAR_MTU, idOf, NETNAT, natEdge, SERVERS, SLOTS, VM } from './nat-edge.ts';
import { datagramFragments } from './nat-fragments.ts';
import { sendFrames } from './raw-frame.ts';
import { type Background, cannotMakeNamespaces, until, World } from './world.ts';

/** Sends one datagram to open a mapping, then prints length and digest of what it receives. */
const CLIENT = `
const [port, to, at] = process.argv.slice(1);
const s = require('node:dgram').createSocket('udp4');
s.on('message', (m) => console.log(m.length, require('node:crypto').createHash('sha256').update(m).digest('hex')));
s.bind(Number(port), () => s.send('open', Number(at), to, () => console.log('open')));
`;
const digest = (b: Uint8Array): string => `${b.length} ${createHash('sha256').update(b).digest('hex')}`;
const patterned = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 0xff);

describe('NAT between two tenants with the same addresses and the internet', function () {
  this.timeout(120_000);
  let world: World;
  let edge: Edge;

  before(function () {
    if (cannotMakeNamespaces()) this.skip();
    world = new World();
    edge = natEdge(world, {
      ...NETNAT,
      staticMappings: [
        {
          routingDomainId: idOf(2),
          protocol: 'TCP',
          externalIpAddress: EXTERNAL as Address,
          externalPort: 8080,
          internalIpAddress: VM as Address,
          internalPort: 80,
        },
      ],
    });
  });
  after(() => world?.close());

  const vm = (slot: number) => edge.ns[slot === 2 ? 'v2' : 'v3'];
  const externalPort = (slot: number, protocol: number, port: number): number => {
    const found = edge.mappings().find((m) => m.startsWith(`${slot} ${protocol} ${VM}:${port} `));
    assert.ok(found, `no mapping of tenant ${slot}, port ${port}`);
    return Number(found.slice(found.lastIndexOf(':') + 1));
  };
  const listening = (ns: string, port: number, of: 't' | 'u' = 't') =>
    until(() => world.exec(ns, ['ss', `-lnH${of}`, `sport = :${port}`]).stdout.trim(), 20_000, `listener on ${port}`);
  const serve = async (ns: string, port: number, action: string, ...more: string[]): Promise<Background> => {
    const server = world.start(ns, ['socat', ...more, `TCP-LISTEN:${port},fork,reuseaddr`, action]);
    await listening(ns, port);
    return server;
  };

  it('lets nobody out whose compartment has no NAT, nor a frame that is of no compartment', () => {
    const off = edge.map('tenants');
    const key = Buffer.from([3, 0, 0, 0]);
    const was = Buffer.from(off.get(key)!);
    off.set(key, Buffer.alloc(was.length));
    const before = edge.drops('UNKNOWN_PORT');
    const ping = world.exec(vm(3), ['ping', '-c', '1', '-W', '1', SERVERS[0]]);
    off.set(key, was);
    assert.notEqual(ping.code, 0);
    assert.ok(edge.drops('UNKNOWN_PORT') > before);
    assert.equal(world.exec(vm(3), ['ping', '-c', '1', '-W', '5', SERVERS[0]]).code, 0);
  });

  it("carries the book's example: both tenants' 10.0.0.10:5001 to port 80 of both servers at the same time", async () => {
    const peers = path.join(world.dir, 'peers');
    await serve(
      edge.ns.server,
      80,
      `SYSTEM:echo "\${SOCAT_SOCKADDR} \${SOCAT_PEERADDR} \${SOCAT_PEERPORT}" | tee -a ${peers}; sleep 1`,
    );
    const runs = SLOTS.flatMap((slot) =>
      SERVERS.map(async (server) => {
        const r = await world.run(vm(slot), ['socat', '-T10', `TCP:${server}:80,sourceport=5001,reuseaddr`, 'STDOUT']);
        return { slot, server, ...r };
      }),
    );
    for (const r of await Promise.all(runs)) {
      assert.equal(r.code, 0, r.stderr);
      assert.equal(r.stdout.trim(), `${r.server} ${EXTERNAL} ${externalPort(r.slot, 6, 5001)}`);
    }
    const seen = fs.readFileSync(peers, 'utf8').trim().split('\n');
    assert.equal(new Set(seen).size, 4, 'two tenants, two servers');
    assert.equal(new Set(seen.map((l) => l.split(' ')[2])).size, 2, 'one external port a tenant (RFC 4787 REQ-1)');
  });

  it('carries bulk both ways unharmed, segmentation and checksums left to devices', async () => {
    const blob = path.join(world.dir, 'blob');
    fs.writeFileSync(blob, patterned(8_000_000, 1));
    const want = createHash('sha256').update(fs.readFileSync(blob)).digest('hex');
    await serve(edge.ns.server, 81, 'SYSTEM:sha256sum');
    await serve(edge.ns.server, 82, `OPEN:${blob},rdonly`, '-U');
    for (const slot of SLOTS) {
      const up = await world.run(vm(slot), ['sh', '-c', `socat -t 30 - TCP:${SERVERS[0]}:81 < ${blob}`]);
      assert.equal(up.stdout.split(' ')[0], want, up.stderr);
      const down = await world.run(vm(slot), ['sh', '-c', `socat -u TCP:${SERVERS[1]}:82 - | sha256sum`]);
      assert.equal(down.stdout.split(' ')[0], want, down.stderr);
    }
  });

  it('carries pings, and brings back the errors of routers and servers (RFC 5508)', () => {
    for (const slot of SLOTS) {
      const ping = (...args: string[]) => world.exec(vm(slot), ['ping', '-c', '1', '-W', '5', ...args, SERVERS[0]]);
      assert.equal(ping().code, 0);
      assert.match(ping('-t', '2').stdout, /From 131\.107\.10\.1 .*Time to live exceeded/);
      assert.match(ping('-M', 'do', '-s', '1472').stdout, new RegExp(`Frag needed and DF set \\(mtu = ${FAR_MTU}\\)`));
      const closed = world.exec(vm(slot), ['socat', '-T5', '-', `UDP:${SERVERS[0]}:9,sourceport=7777`], { input: 'x' });
      assert.match(closed.stderr, /Connection refused/);
    }
  });

  it('sends the errors of a router inside from the external address of the session', async () => {
    const seen = await world.capture(edge.ns.server, 'eth0', 'icmp');
    const client = world.start(vm(3), [process.execPath, '-e', CLIENT, '7200', SERVERS[0], '7000']);
    await until(() => client.output().includes('open'), 30_000);
    await until(() => edge.mappings().some((m) => m.startsWith(`3 17 ${VM}:7200 `)));
    await client.stop();
    // The port is closed now, so the VM answers with Port Unreachable.
    const port = externalPort(3, 17, 7200);
    const asked = world.exec(edge.ns.server, ['socat', '-T5', '-', `UDP:${EXTERNAL}:${port},bind=${SERVERS[0]}:7000`], {
      input: 'x',
    });
    const pcap = await seen.stop();
    assert.match(asked.stderr, /Connection refused/);
    const text = world.sh('', `tcpdump -nvr ${pcap}`);
    assert.match(text, new RegExp(`${EXTERNAL} > ${SERVERS[0]}: ICMP ${EXTERNAL} udp port ${port} unreachable`));
    assert.ok(!text.includes(VM), 'an inside address leaked');
  });

  it('carries fragments in order, both ways, and those of the gateway itself', () => {
    for (const slot of SLOTS) {
      const ping = world.exec(vm(slot), ['ping', '-c', '2', '-i', '0.2', '-W', '5', '-s', '20000', SERVERS[0]]);
      assert.equal(ping.code, 0, ping.stdout);
    }
    const own = world.exec(edge.ns.server, ['ping', '-c', '2', '-i', '0.2', '-W', '5', '-s', '8000', EXTERNAL]);
    assert.equal(own.code, 0, own.stdout);
  });

  it('carries fragments that come in any order, inwards and outwards', async () => {
    const at = (ns: string, device: string) => macOf(world, ns, device);
    const server = world.start(edge.ns.server, [process.execPath, '-e', CLIENT, '7000', SERVERS[1], '1']);
    await listening(edge.ns.server, 7000, 'u');
    for (const slot of SLOTS) {
      const client = world.start(vm(slot), [process.execPath, '-e', CLIENT, '7001', SERVERS[0], '7000']);
      await until(() => edge.mappings().some((m) => m.startsWith(`${slot} 17 ${VM}:7001 `)), 30_000);
      for (const [i, order] of [
        [2, 1, 0],
        [1, 2, 0],
        [0, 2, 1],
        [2, 0, 1],
      ].entries()) {
        const inward = patterned(3000, 10 * slot + i);
        const outward = patterned(3000, 100 + 10 * slot + i);
        const flow = { id: 100 * slot + i, checksum: i !== 1 };
        const sent = (frames: readonly Uint8Array[]) => order.map((n) => frames[n]!);
        sendFrames(
          world.nsPath(edge.ns.server),
          'eth0',
          sent(
            datagramFragments({
              ...flow,
              from: at(edge.ns.server, 'eth0'),
              to: at(edge.ns.isp, 'far'),
              source: [SERVERS[0], 7000],
              destination: [EXTERNAL, externalPort(slot, 17, 7001)],
              data: inward,
            }),
          ),
        );
        await until(() => client.output().includes(digest(inward)), 10_000, `order ${order} to tenant ${slot}`);
        sendFrames(
          world.nsPath(vm(slot)),
          'eth0',
          sent(
            datagramFragments({
              ...flow,
              from: at(vm(slot), 'eth0'),
              to: at(edge.ns[slot === 2 ? 'c2' : 'c3'], 'in0'),
              source: [VM, 7001],
              destination: [SERVERS[0], 7000],
              data: outward,
            }),
          ),
        );
        await until(() => server.output().includes(digest(outward)), 10_000, `order ${order} from tenant ${slot}`);
      }
      await client.stop();
    }
    await server.stop();
  });

  it('drops fragments whose first one never comes', async () => {
    const before = edge.drops('NAT_FRAGMENT');
    const orphan = datagramFragments({
      id: 999,
      checksum: true,
      from: macOf(world, edge.ns.server, 'eth0'),
      to: macOf(world, edge.ns.isp, 'far'),
      source: [SERVERS[0], 7000],
      destination: [EXTERNAL, 9000],
      data: patterned(3000, 5),
    });
    sendFrames(world.nsPath(edge.ns.server), 'eth0', orphan.slice(1));
    await until(() => edge.drops('NAT_FRAGMENT') === before + 2, 10_000, 'two orphans dropped');
  });

  it('reaches a static mapping from outside, from the other tenant and from its own host (RFC 4787 REQ-9)', async () => {
    await serve(vm(2), 80, `SYSTEM:echo "\${SOCAT_PEERADDR} \${SOCAT_PEERPORT}"`);
    const get = (ns: string) => world.exec(ns, ['socat', '-T10', `TCP:${EXTERNAL}:8080,sourceport=6001`, 'STDOUT']);
    assert.equal(get(edge.ns.server).stdout.trim(), `${SERVERS[0]} 6001`);
    for (const slot of SLOTS) {
      const r = get(vm(slot));
      assert.equal(r.stdout.trim(), `${EXTERNAL} ${externalPort(slot, 6, 6001)}`, r.stderr);
    }
  });

  it("leaves the gateway's own services alone, fragments of them too", async () => {
    const ike = world.start(edge.ns.gw, [process.execPath, '-e', CLIENT, '500', EXTERNAL, '1']);
    await listening(edge.ns.gw, 500, 'u');
    for (const [i, order] of [
      [0, 1, 2],
      [2, 1, 0],
    ].entries()) {
      const data = patterned(3000, 50 + i);
      const fragments = datagramFragments({
        id: 500 + i,
        checksum: true,
        from: macOf(world, edge.ns.server, 'eth0'),
        to: macOf(world, edge.ns.isp, 'far'),
        source: [SERVERS[0], 500],
        destination: [EXTERNAL, 500],
        data,
      });
      sendFrames(
        world.nsPath(edge.ns.server),
        'eth0',
        order.map((n) => fragments[n]!),
      );
      await until(() => ike.output().includes(digest(data)), 20_000, `order ${order} to the gateway`);
    }
    await ike.stop();
  });
});

const macOf = (world: World, ns: string, device: string): Mac =>
  JSON.parse(world.exec('', ['ip', '-n', ns, '-j', 'link', 'show', 'dev', device]).stdout)[0].address;
