/**
 * Point 4: what must not arrive does not arrive, and a drop counter tells why. All attacks are one volley, with one reading of the
 * counters before and one after: no two of them share a counter, and each has a marker of its own and a control of its own, a
 * harmless packet that takes the same way after it and must arrive.
 */
import {
  CONTOSO,
  GATEWAY,
  HOSTS,
  MACDFGW,
  ROGUE,
  SITES,
  serverOf,
  type Tenant,
  type Vm,
  WOODGROVE,
} from '../fabrikam.ts';
import { echoRequest, ethernet, ipv4, nvgre } from '../pcap/craft.ts';
import { ETHERTYPE, PROTOCOL } from '../pcap/frame.ts';
import { type Check, once, type Scene, type Verdict, verdict } from './check.ts';
import { type Control, type Counting, counters, marked, moved, type Sent, told, toRouter, watched } from './watch.ts';

const VM = CONTOSO.vms[0]!;
const VICTIM = WOODGROVE.vms[0]!;
const SFO = SITES.find((s) => s.city === 'San Francisco')!;
const COPIES = 3;

const copies = (frame: Uint8Array): Uint8Array[] => Array.from({ length: COPIES }, () => frame);

const placesOf = (tenant: Tenant): string[] => [...tenant.vms.map((vm) => vm.netns), ...tenant.sites.map(serverOf)];

/** Contoso's VM to its neighbour on the other host. */
const toNeighbour = async (_scene: Scene, marker: string): Promise<Control> => {
  const [from, to] = CONTOSO.vms as readonly [Vm, Vm];
  const frame = ethernet(from.mac, to.mac, ETHERTYPE.IPV4, echoRequest(from.address, to.address, marker));
  return { from: from.netns, device: 'eth0', to: to.netns, frame };
};

/** Woodgrove's VM on host2 to the one on host1. */
const toHost1 = async (_scene: Scene, marker: string): Promise<Control> => {
  const [to, from] = WOODGROVE.vms as readonly [Vm, Vm];
  const frame = ethernet(from.mac, to.mac, ETHERTYPE.IPV4, echoRequest(from.address, to.address, marker));
  return { from: from.netns, device: 'eth0', to: to.netns, frame };
};

/** Contoso's VM through the gateway and the tunnel to its site. */
const throughGateway = async (_scene: Scene, marker: string): Promise<Control> => {
  const site = CONTOSO.sites[0]!;
  const frame = toRouter(VM, echoRequest(VM.address, site.server, marker));
  return { from: VM.netns, device: 'eth0', to: serverOf(site), frame };
};

/** A packet of Contoso's site to the cloud. */
async function fromSite({ world }: Scene, to: string, marker: string): Promise<Uint8Array> {
  const site = CONTOSO.sites[0]!;
  const [router, own] = await Promise.all([
    world.macOf(serverOf(site), 'eth0', site.lanRouter),
    world.macOf(site.netns, 'lan', site.server),
  ]);
  return ethernet(own, router, ETHERTYPE.IPV4, echoRequest(site.server, to, marker));
}

interface Attack {
  readonly id: string;
  readonly title: string;
  readonly places: readonly string[]; // namespaces at which nothing may arrive
  readonly from: string; // namespace
  readonly device: string;
  /** The frames, each with the marker in it. */
  frames(scene: Scene, marker: string): Promise<readonly Uint8Array[]>;
  control(scene: Scene, marker: string): Promise<Control>;
  readonly counted: {
    readonly where: Counting;
    readonly tenants: readonly string[];
    readonly reason: string; // no other attack is counted there for the same
  };
}

/** A packet of Contoso's VM to its site, but not as the VM may send it. */
const fromVm = (marker: string, source: string, mac: string, vlan?: number) =>
  ethernet(mac, MACDFGW, ETHERTYPE.IPV4, echoRequest(source, '10.1.0.10', marker), vlan);

/** NVGRE on the provider wire by the rogue machine, under a provider address of its choice. */
async function fromRogue(
  scene: Scene,
  source: string,
  to: string,
  vsid: number,
  inner: Uint8Array,
): Promise<Uint8Array> {
  const mac = await scene.world.macOf(ROGUE.netns, 'nic', to);
  return ethernet(ROGUE.mac, mac, ETHERTYPE.IPV4, ipv4(source, to, PROTOCOL.GRE, nvgre(vsid, inner)));
}

const innerToSite = (marker: string) =>
  ethernet(VM.mac, CONTOSO.gatewayMac, ETHERTYPE.IPV4, echoRequest(VM.address, '10.1.0.10', marker));

const vmAttack = (id: string, title: string, reason: string, frame: (marker: string) => Uint8Array): Attack => ({
  id,
  title,
  places: [...placesOf(CONTOSO).filter((netns) => netns !== VM.netns), ...placesOf(WOODGROVE)],
  from: VM.netns,
  device: 'eth0',
  frames: async (_scene, marker) => copies(frame(marker)),
  control: toNeighbour,
  counted: { where: 'host1', tenants: [CONTOSO.name], reason },
});

const ATTACKS: readonly Attack[] = [
  {
    id: '4-no-route',
    title: 'Contoso has no route to Woodgrove’s 10.2.0.0/24: nothing arrives there',
    places: placesOf(WOODGROVE),
    from: VM.netns,
    device: 'eth0',
    frames: async (_scene, marker) => copies(toRouter(VM, echoRequest(VM.address, SFO.server, marker))),
    control: toNeighbour,
    counted: { where: 'host1', tenants: [CONTOSO.name], reason: 'NO_ROUTE' },
  },
  {
    id: '4-no-record',
    title: 'Contoso’s site sends to 10.0.0.99, which no lookup record names',
    places: [...placesOf(WOODGROVE), ...CONTOSO.vms.map((vm) => vm.netns)],
    from: serverOf(CONTOSO.sites[0]!),
    device: 'eth0',
    frames: async (scene, marker) => copies(await fromSite(scene, '10.0.0.99', marker)),
    control: async (scene, marker) => ({
      from: serverOf(CONTOSO.sites[0]!),
      device: 'eth0',
      to: VM.netns,
      frame: await fromSite(scene, VM.address, marker),
    }),
    counted: { where: GATEWAY.name, tenants: [CONTOSO.name], reason: 'NO_RECORD' },
  },
  {
    id: '4-spoofed-vsid',
    title: 'Contoso’s VM sends NVGRE of its own with Woodgrove’s VSIDs to the gateway and to both hosts',
    places: placesOf(WOODGROVE),
    from: VM.netns,
    device: 'eth0',
    frames: async (_scene, marker) => {
      const echo = echoRequest(VICTIM.address, '10.1.0.10', marker);
      const toGateway = nvgre(WOODGROVE.gatewayVsid, ethernet(VICTIM.mac, WOODGROVE.gatewayMac, ETHERTYPE.IPV4, echo));
      const toHost = (vm: Vm) =>
        nvgre(WOODGROVE.vsid, ethernet(MACDFGW, vm.mac, ETHERTYPE.IPV4, echoRequest('10.1.0.10', vm.address, marker)));
      const packet = (pa: string, payload: Uint8Array) => toRouter(VM, ipv4(VM.address, pa, PROTOCOL.GRE, payload));
      return [
        ...copies(packet(GATEWAY.providerAddress, toGateway)),
        ...WOODGROVE.vms.flatMap((vm) => copies(packet(HOSTS[vm.host], toHost(vm)))),
      ];
    },
    control: toNeighbour,
    counted: { where: 'host1', tenants: [CONTOSO.name], reason: 'NESTED' },
  },
  vmAttack(
    '4-spoofed-address',
    'Contoso’s VM sends with a customer address that is not its own',
    'SPOOFED_CA',
    (marker) => fromVm(marker, '10.0.0.77', VM.mac),
  ),
  vmAttack('4-spoofed-mac', 'Contoso’s VM sends with Woodgrove’s MAC', 'SPOOFED_MAC', (marker) =>
    fromVm(marker, VM.address, VICTIM.mac),
  ),
  vmAttack('4-inner-vlan', 'Contoso’s VM sends with an 802.1Q tag', 'INNER_VLAN', (marker) =>
    fromVm(marker, VM.address, VM.mac, 6),
  ),
  {
    id: '4-unknown-pa',
    title: 'a machine that no record names sends NVGRE with Contoso’s VSID to the gateway',
    places: placesOf(CONTOSO),
    from: ROGUE.netns,
    device: 'nic',
    frames: async (scene, marker) =>
      copies(await fromRogue(scene, ROGUE.address, GATEWAY.providerAddress, CONTOSO.gatewayVsid, innerToSite(marker))),
    control: throughGateway,
    counted: { where: GATEWAY.name, tenants: [CONTOSO.name, '-'], reason: 'UNKNOWN_PA' },
  },
  {
    id: '4-unknown-pa-host',
    title: 'the same machine sends to a VM of Woodgrove on Host1',
    places: placesOf(WOODGROVE),
    from: ROGUE.netns,
    device: 'nic',
    frames: async (scene, marker) => {
      const echo = echoRequest('10.1.0.10', VICTIM.address, marker);
      const inner = ethernet(MACDFGW, VICTIM.mac, ETHERTYPE.IPV4, echo);
      return copies(await fromRogue(scene, ROGUE.address, HOSTS.host1, WOODGROVE.vsid, inner));
    },
    control: toHost1,
    counted: { where: 'host1', tenants: [WOODGROVE.name, '-'], reason: 'UNKNOWN_PA' },
  },
  {
    id: '4-unknown-vsid',
    title: 'NVGRE under Host1’s PA with a VSID that belongs to nobody',
    places: [...placesOf(CONTOSO), ...placesOf(WOODGROVE)],
    from: ROGUE.netns,
    device: 'nic',
    frames: async (scene, marker) =>
      copies(await fromRogue(scene, HOSTS.host1, GATEWAY.providerAddress, 9999, innerToSite(marker))),
    control: throughGateway,
    counted: { where: GATEWAY.name, tenants: ['-'], reason: 'UNKNOWN_VSID' },
  },
];

interface Shot {
  readonly attack: Attack;
  readonly sent: Sent;
}

async function prepared(scene: Scene, attack: Attack): Promise<Shot> {
  const marker = marked('attack');
  const harmless = marked('harmless');
  const [frames, control] = await Promise.all([attack.frames(scene, marker), attack.control(scene, harmless)]);
  return { attack, sent: { from: attack.from, device: attack.device, frames, marker, control, harmless } };
}

const volley = once(async (scene) => {
  const where = [...new Set(ATTACKS.map((a) => a.counted.where))];
  const [before, ...shots] = await Promise.all([
    counters(scene, where),
    ...ATTACKS.map((attack) => prepared(scene, attack)),
  ]);
  const places = [...new Set([...placesOf(CONTOSO), ...placesOf(WOODGROVE)])];
  const arrived = await watched(
    scene.world,
    places,
    shots.map((s) => s.sent),
  );
  const after = await counters(scene, where);
  return { shots, arrived, drops: moved(before, after) };
});

async function judged(attack: Attack, scene: Scene): Promise<Verdict> {
  const { shots, arrived, drops } = await volley(scene);
  const { sent } = shots.find((s) => s.attack === attack)!;
  const { where, tenants, reason } = attack.counted;
  const { to } = sent.control;
  return verdict([
    ...attack.places.map((netns) => {
      const n = arrived(netns, sent.marker);
      return [n === 0, n === 0 ? `nothing arrived at ${netns}` : `${n} frames arrived at ${netns}`] as const;
    }),
    [arrived(to, sent.harmless) > 0, `the control packet sent after them came to ${to}`],
    told(drops.get(where)!, where, tenants, reason, sent.frames.length),
  ]);
}

export const isolationChecks: readonly Check[] = ATTACKS.map((attack) => ({
  id: attack.id,
  title: attack.title,
  run: (scene) => judged(attack, scene),
}));
