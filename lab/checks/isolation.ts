/** Point 4: what must not arrive does not arrive, and a drop counter tells why. */
import { randomUUID } from 'node:crypto';
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
import { type Check, type Scene, type Verdict, verdict } from './check.ts';
import { type Counting, countedDrops, nothingArrives, told, toRouter } from './watch.ts';

const VM = CONTOSO.vms[0]!;
const VICTIM = WOODGROVE.vms[0]!;
const SFO = SITES.find((s) => s.city === 'San Francisco')!;
const COPIES = 3;

const copies = (frame: Uint8Array): Uint8Array[] => Array.from({ length: COPIES }, () => frame);

const placesOf = (tenant: Tenant): string[] => [...tenant.vms.map((vm) => vm.netns), ...tenant.sites.map(serverOf)];

interface Attack {
  readonly id: string;
  readonly title: string;
  readonly places: readonly string[]; // namespaces at which nothing may arrive
  readonly from: string; // namespace
  readonly device: string;
  /** The frames, each with the marker in it. */
  frames(scene: Scene, marker: string): Promise<readonly Uint8Array[]>;
  readonly counted: {
    readonly where: Counting;
    readonly tenants: readonly string[];
    readonly reasons: readonly string[];
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
  counted: { where: 'host1', tenants: [CONTOSO.name], reasons: [reason] },
});

const ATTACKS: readonly Attack[] = [
  {
    id: '4-no-route',
    title: 'Contoso has no route to Woodgrove’s 10.2.0.0/24: nothing arrives there',
    places: placesOf(WOODGROVE),
    from: VM.netns,
    device: 'eth0',
    frames: async (_scene, marker) => copies(toRouter(VM, echoRequest(VM.address, SFO.server, marker))),
    counted: { where: 'host1', tenants: [CONTOSO.name], reasons: ['NO_ROUTE'] },
  },
  {
    id: '4-no-record',
    title: 'Contoso’s site sends to 10.0.0.99, which no lookup record names',
    places: [...placesOf(WOODGROVE), ...CONTOSO.vms.map((vm) => vm.netns)],
    from: serverOf(CONTOSO.sites[0]!),
    device: 'eth0',
    frames: async ({ world }, marker) => {
      const site = CONTOSO.sites[0]!;
      const router = await world.macOf(serverOf(site), 'eth0', site.lanRouter);
      const own = await world.macOf(site.netns, 'lan', site.server);
      return copies(ethernet(own, router, ETHERTYPE.IPV4, echoRequest(site.server, '10.0.0.99', marker)));
    },
    counted: { where: GATEWAY.name, tenants: [CONTOSO.name], reasons: ['NO_RECORD'] },
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
    counted: { where: 'host1', tenants: [CONTOSO.name], reasons: ['NESTED', 'NO_ROUTE'] },
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
    counted: { where: GATEWAY.name, tenants: [CONTOSO.name, '-'], reasons: ['UNKNOWN_PA'] },
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
    counted: { where: 'host1', tenants: [WOODGROVE.name, '-'], reasons: ['UNKNOWN_PA'] },
  },
  {
    id: '4-unknown-vsid',
    title: 'NVGRE under Host1’s PA with a VSID that belongs to nobody',
    places: [...placesOf(CONTOSO), ...placesOf(WOODGROVE)],
    from: ROGUE.netns,
    device: 'nic',
    frames: async (scene, marker) =>
      copies(await fromRogue(scene, HOSTS.host1, GATEWAY.providerAddress, 9999, innerToSite(marker))),
    counted: { where: GATEWAY.name, tenants: ['-'], reasons: ['UNKNOWN_VSID'] },
  },
];

async function attempt(attack: Attack, scene: Scene): Promise<Verdict> {
  const marker = `attack-${randomUUID()}`;
  const frames = await attack.frames(scene, marker);
  const { where, tenants, reasons } = attack.counted;
  const { result, drops } = await countedDrops(scene, where, () =>
    nothingArrives(scene.world, attack.places, marker, () => scene.world.inject(attack.from, attack.device, frames)),
  );
  return verdict([...result, told(drops, where, tenants, reasons, frames.length)]);
}

export const isolationChecks: readonly Check[] = ATTACKS.map((attack) => ({
  id: attack.id,
  title: attack.title,
  run: (scene) => attempt(attack, scene),
}));
