/**
 * The world at work: brings the topology up on a machine, runs the hosts' agents, the sites' IPsec daemons and the web servers,
 * and does what tenants do: fetch pages, ping, dial, hang up, misbehave.
 */
import { HOSTS, SITES, type Site, serverOf, TENANTS, VMS } from '../fabrikam.ts';
import { type Done, type Machine, must, until } from '../machine.ts';
import { ECHO_IDENTIFIER } from '../pcap/craft.ts';
import { encodePcap } from '../pcap/file.ts';
import { type PingedFlow, type Pings, startPings } from './flows.ts';
import { type HostName, hostYaml } from './host-yaml.ts';
import { bringUp } from './script.ts';
import { siteDir, strongswanConf, swanctlConf, viciOf } from './site-ipsec.ts';
import { TOPOLOGY } from './topology.ts';

/** Random per run: a text for each web server that is found again wherever it appears, and the sites' pre-shared keys. */
export interface RunData {
  readonly markers: Readonly<Record<string, string>>; // by namespace
  readonly secrets: Readonly<Record<string, string>>; // by site namespace
}

/** The namespaces with a web server: every site's server and every VM. */
export const SERVERS: readonly string[] = [...SITES.map(serverOf), ...VMS.map((vm) => vm.netns)];

export const pageOf = (netns: string, marker: string): string => {
  const tenant = TENANTS.find((t) => netns.startsWith(t.name.toLowerCase()));
  return `tenant: ${tenant?.name}\nplace: ${netns}\nmarker: ${marker}\n`;
};

/** Size of the file `transfer` of each web server. */
export const TRANSFER_BYTES = 1_500_000;

const OBJECT = '/usr/lib/hnv-gateway/bpf/overlay.bpf.o';
const HOST_NAMES = Object.keys(HOSTS) as HostName[];
const AGENT = ['hnvhost', 'run', '--object', OBJECT];
const agentArgs = (host: HostName): string[] => ['--pin', `/sys/fs/bpf/${host}`, '--state', `/lab/${host}`];

interface TextFile {
  readonly path: string;
  readonly text: string;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Starting a process costs most in an emulated machine, so files are written by the shell itself, many in one script. */
function writeFiles(files: readonly TextFile[]): string {
  const directories = new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/'))));
  return `mkdir -p ${[...directories].join(' ')}\n${files.map(({ path, text }) => `printf %s ${quoted(text)} >${path}\n`).join('')}`;
}

/** New namespaces take IPv6 settings from the first one: the world speaks IPv4 only. */
const WITHOUT_IPV6 = `echo 1 >/proc/sys/net/core/devconf_inherit_init_net
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
`;

/** Waits until each of the captures runs. */
const capturing = (names: readonly string[]): string =>
  `i=0; until [ -z "$(grep -L 'listening on' ${names.map((n) => `/run/lab/${n}.err`).join(' ')})" ]; do
  i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done\n`;

/** What the checks of isolation send: ICMP with their identifier; and what must never come out of the overlay. */
const ARRIVALS = `(icmp and icmp[4:2] = ${ECHO_IDENTIFIER}) or proto gre or vlan`;
export const arrivalsAt = (netns: string): string => `arrivals-${netns}`;

export class World {
  readonly machine: Machine;
  readonly run: RunData;

  constructor(machine: Machine, run: RunData) {
    this.machine = machine;
    this.run = run;
  }

  /** Runs a command in a namespace. `nsenter` and not `ip netns exec`, which would hide /sys/fs/bpf behind a new /sys. */
  in(netns: string, argv: readonly string[], timeoutMs = 30_000): Promise<Done> {
    return this.machine.exec(['nsenter', `--net=/run/netns/${netns}`, ...argv], { timeoutMs });
  }

  #script(text: string, timeoutMs = 60_000): Promise<string> {
    return must(this.machine, ['sh', '-s'], { stdin: `set -eu\n${text}`, timeoutMs });
  }

  /** Starts a command in a namespace; its output goes to a file, its process id to another. */
  #background(netns: string, name: string, argv: readonly string[], environment = ''): string {
    return `${environment} setsid nsenter --net=/run/netns/${netns} ${argv.map(quoted).join(' ')} >/run/lab/${name}.out 2>/run/lab/${name}.err </dev/null &
echo $! >/run/lab/${name}.pid\n`;
  }

  /**
   * Namespaces, wires, addresses; captures of both wires (`wires`) and of what arrives at every server and VM; pages. The hosts'
   * agents and the sites' IPsec daemons are started as soon as the wires are watched; `hostsReady` and `sitesReady` wait for them.
   */
  async bringUp(
    wires: readonly { readonly name: string; readonly netns: string; readonly device: string }[],
  ): Promise<void> {
    const pages = SERVERS.map((ns) => ({ path: `/srv/${ns}/index.html`, text: pageOf(ns, this.run.markers[ns]!) }));
    const hosts = HOST_NAMES.map((h) => ({ path: `/lab/${h}.yaml`, text: hostYaml(h, TENANTS) }));
    const sites = SITES.flatMap((s) => [
      { path: `${siteDir(s)}/strongswan.conf`, text: strongswanConf(s) },
      { path: `${siteDir(s)}/swanctl.conf`, text: swanctlConf(s, this.run.secrets[s.netns]!) },
    ]);
    const agents = HOST_NAMES.map((h) =>
      this.#background(h, `agent-${h}`, [...AGENT, ...agentArgs(h), '--config', `/lab/${h}.yaml`]),
    );
    const daemons = SITES.map((s) =>
      this.#background(
        s.netns,
        `charon-${s.netns}`,
        ['charon-systemd'],
        `STRONGSWAN_CONF=${siteDir(s)}/strongswan.conf`,
      ),
    );
    const servers = SERVERS.map((ns) =>
      this.#background(ns, `httpd-${ns}`, ['busybox', 'httpd', '-f', '-p', '80', '-h', `/srv/${ns}`]),
    );
    const transfers = SITES.map(serverOf).map(
      (ns) => `yes '${this.run.markers[ns]}' | head -c ${TRANSFER_BYTES} >/srv/${ns}/transfer`,
    );
    const script = [
      `mkdir -p /run/lab\n${WITHOUT_IPV6}${bringUp(TOPOLOGY)}`,
      writeFiles([...pages, ...hosts, ...sites]),
      ...wires.map((w) => this.#capture(w.name, w.netns, w.device, '')),
      capturing(wires.map((w) => w.name)),
      ...agents,
      ...daemons,
      ...SERVERS.map((ns) => this.#capture(arrivalsAt(ns), ns, 'eth0', ARRIVALS)),
      ...servers,
      ...transfers,
      capturing(SERVERS.map(arrivalsAt)),
    ];
    await this.#script(script.join('\n'), 180_000);
  }

  /** Resolves when the hosts' agents say that every VM's port has its program. */
  async hostsReady(): Promise<void> {
    const settled = `'"settled":true.*the overlay is in place'`;
    const script = HOST_NAMES.map((h) => `grep -c ${settled} /run/lab/agent-${h}.out || true`);
    await until('the hosts’ agents to serve all VMs', 180_000, async () => {
      const counts = (await this.#script(script.join('\n'))).trim().split('\n');
      return counts.every((n) => Number(n) > 0) ? true : undefined;
    }).catch(async (e: Error) => {
      const said = await Promise.all(HOST_NAMES.map((h) => this.log(`agent-${h}`)));
      throw new Error([e.message, ...said].join('\n'));
    });
  }

  #agent(host: HostName, noun: string): string[] {
    return ['nsenter', `--net=/run/netns/${host}`, 'hnvhost', 'show', noun, ...agentArgs(host), '-o', 'json'];
  }

  /** The drop counters of a host. */
  async drops(host: HostName): Promise<readonly { RoutingDomain: string; Reason: string; Packets: number }[]> {
    return JSON.parse(await must(this.machine, this.#agent(host, 'drops')));
  }

  /** The last lines of what a background command said. */
  async log(name: string): Promise<string> {
    return (await this.machine.exec(['sh', '-c', `tail -n 20 /run/lab/${name}.out /run/lab/${name}.err`])).stdout;
  }

  /** Resolves when the sites' IPsec daemons listen and have their connection; nobody dials yet. */
  async sitesReady(): Promise<void> {
    const load = (s: Site) => `swanctl --load-all --uri ${viciOf(s)} --file ${siteDir(s)}/swanctl.conf`;
    await until('the sites’ IPsec daemons', 60_000, async () => {
      await this.#script(SITES.map(load).join('\n'));
      return true;
    });
  }

  /** The site dials the gateway; resolves when its tunnel is up. */
  async dial(site: Site): Promise<void> {
    const argv = ['swanctl', '--initiate', '--child', 'cloud', '--timeout', '20', '--uri', viciOf(site)];
    await until(`${site.netns} to get through`, 60_000, async () => {
      await must(this.machine, argv, { timeoutMs: 30_000 });
      return true;
    });
  }

  async hangUp(site: Site): Promise<void> {
    await must(this.machine, ['swanctl', '--terminate', '--ike', 'gateway', '--timeout', '10', '--uri', viciOf(site)]);
  }

  /** The site hangs up and refuses whoever dials it, until it answers again. */
  async refuse(site: Site): Promise<void> {
    await this.#script(`: >${siteDir(site)}/none.conf
swanctl --load-conns --uri ${viciOf(site)} --file ${siteDir(site)}/none.conf
swanctl --terminate --ike gateway --timeout 10 --uri ${viciOf(site)}`);
  }

  async answerAgain(site: Site): Promise<void> {
    await this.#script(`swanctl --load-conns --uri ${viciOf(site)} --file ${siteDir(site)}/swanctl.conf`);
  }

  /** Fetches pages, all at the same time; undefined for each that does not come. busybox starts several times as fast as curl. */
  async fetchAll(
    fetches: readonly { readonly netns: string; readonly address: string }[],
    seconds: number,
  ): Promise<readonly (string | undefined)[]> {
    const get = fetches.map(
      ({ netns, address }, i) =>
        `nsenter --net=/run/netns/${netns} busybox timeout ${seconds} busybox wget -q -O $d/${i} http://${address}/index.html 2>/dev/null && : >$d/${i}.ok &`,
    );
    const tell = fetches.map((_, i) => `[ ! -e $d/${i}.ok ] || base64 -w 0 $d/${i}; echo`);
    const script = ['d=$(mktemp -d)', ...get, 'wait', ...tell, 'rm -r $d'].join('\n');
    const lines = (await this.#script(script, seconds * 1000 + 30_000)).split('\n');
    return fetches.map((_, i) => (lines[i] ? Buffer.from(lines[i], 'base64').toString() : undefined));
  }

  /** Fetches the large file at a limited rate; resolves with its SHA-256 once it is there in full. */
  async transfer(netns: string, address: string, rate: string): Promise<string> {
    const command = `set -o pipefail; curl --silent --fail --max-time 120 --limit-rate ${rate} http://${address}/transfer | sha256sum`;
    const done = await this.in(netns, ['bash', '-c', command], 130_000);
    return done.code === 0 ? done.stdout.split(' ')[0]! : `failed with exit ${done.code}`;
  }

  async transferDigest(netns: string): Promise<string> {
    return (await must(this.machine, ['sha256sum', `/srv/${netns}/transfer`])).split(' ')[0]!;
  }

  startPings(flows: readonly PingedFlow[]): Promise<Pings> {
    return startPings(this.machine, flows);
  }

  #capture(name: string, netns: string, device: string, filter: string): string {
    const argv = ['tcpdump', '-i', device, '-s', '600', '-U', '-w', `/run/lab/${name}.pcap`, '-Z', 'root', '-nn'];
    return this.#background(netns, name, filter ? [...argv, filter] : argv);
  }

  /** What a capture holds so far. */
  capture(name: string): Promise<Uint8Array> {
    return this.machine.read(`/run/lab/${name}.pcap`);
  }

  /** What several captures hold so far, in one visit. */
  async captures(names: readonly string[]): Promise<readonly Uint8Array[]> {
    const lines = (await this.#script(names.map((n) => `base64 -w 0 /run/lab/${n}.pcap; echo`).join('\n'))).split('\n');
    return names.map((_, i) => Buffer.from(lines[i]!, 'base64'));
  }

  /** Sends raw frames from devices, in this order, as a tenant or a stranger with root rights would. */
  async inject(
    sent: readonly { readonly from: string; readonly device: string; readonly frames: readonly Uint8Array[] }[],
  ): Promise<void> {
    // Neighbours in the list that leave from the same device leave together: each start of tcpreplay costs.
    const groups: { from: string; device: string; frames: Uint8Array[] }[] = [];
    for (const { from, device, frames } of sent) {
      const last = groups.at(-1);
      if (last?.from === from && last.device === device) last.frames.push(...frames);
      else groups.push({ from, device, frames: [...frames] });
    }
    const lines = groups.map(({ from, device, frames }) => {
      const file = Buffer.from(encodePcap(frames)).toString('base64');
      return `echo ${file} | base64 -d >/run/lab/inject.pcap
nsenter --net=/run/netns/${from} tcpreplay --intf1 ${device} --topspeed --quiet /run/lab/inject.pcap >/dev/null`;
    });
    await this.#script(lines.join('\n'));
  }

  /** MAC of a neighbour, by ARP alone: on the provider wire nothing else may be asked. */
  async macOf(netns: string, device: string, address: string): Promise<string> {
    return until(`${netns} to learn the MAC of ${address}`, 10_000, async () => {
      const { stdout } = await this.in(netns, ['arping', '-f', '-c', '1', '-w', '2', '-I', device, address]);
      return /\[([0-9a-f:]{17})\]/i.exec(stdout)?.[1]?.toLowerCase();
    });
  }
}
