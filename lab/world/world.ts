/**
 * The world at work: brings the topology up on a machine, runs the hosts' agents, the sites' IPsec daemons and the web servers,
 * and does what tenants do: fetch pages, ping, dial, hang up, misbehave.
 */
import { HOSTS, SITES, type Site, serverOf, TENANTS, VMS } from '../fabrikam.ts';
import { type Done, type Machine, must, until } from '../machine.ts';
import { ECHO_IDENTIFIER } from '../pcap/craft.ts';
import { encodePcap } from '../pcap/file.ts';
import { type HostName, hostYaml } from './host-yaml.ts';
import { type PingResult, readPing } from './ping.ts';
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
export const TRANSFER_BYTES = 4_000_000;

const OBJECT = '/usr/lib/hnv-gateway/bpf/overlay.bpf.o';
const HOST_NAMES = Object.keys(HOSTS) as HostName[];
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

  /** Ends what `start` started, with the signal that lets it finish its output, and waits for its end. */
  async #end(name: string): Promise<void> {
    const loop = `pid=$(cat /run/lab/${name}.pid); kill -INT $pid 2>/dev/null || true
while kill -0 $pid 2>/dev/null; do sleep 0.05; done`;
    await this.#script(loop, 20_000);
  }

  /** Namespaces, wires, addresses, pages; and captures of what arrives at every server and VM. */
  async bringUp(): Promise<void> {
    await this.#script(`mkdir -p /run/lab\n${WITHOUT_IPV6}${bringUp(TOPOLOGY)}`, 120_000);
    const pages = SERVERS.map((ns) => ({ path: `/srv/${ns}/index.html`, text: pageOf(ns, this.run.markers[ns]!) }));
    const hosts = (Object.keys(HOSTS) as HostName[]).map((h) => ({
      path: `/lab/${h}.yaml`,
      text: hostYaml(h, TENANTS),
    }));
    const sites = SITES.flatMap((s) => [
      { path: `${siteDir(s)}/strongswan.conf`, text: strongswanConf(s) },
      { path: `${siteDir(s)}/swanctl.conf`, text: swanctlConf(s, this.run.secrets[s.netns]!) },
    ]);
    const transfers = SITES.map(serverOf).map(
      (ns) => `yes '${this.run.markers[ns]}' | head -c ${TRANSFER_BYTES} >/srv/${ns}/transfer`,
    );
    const servers = SERVERS.map((ns) =>
      this.#background(ns, `httpd-${ns}`, ['busybox', 'httpd', '-f', '-p', '80', '-h', `/srv/${ns}`]),
    );
    const captures = SERVERS.map((ns) => this.#capture(arrivalsAt(ns), ns, 'eth0', ARRIVALS));
    const script = [writeFiles([...pages, ...hosts, ...sites]), ...servers, ...captures, ...transfers].join('\n');
    await this.#script(script, 120_000);
    for (const ns of SERVERS) await this.#capturing(arrivalsAt(ns));
  }

  /** Starts the hosts' agents; `hostsReady` waits for them. */
  async startHosts(): Promise<void> {
    const run = (h: HostName): string[] => [
      'hnvhost',
      'run',
      '--config',
      `/lab/${h}.yaml`,
      '--object',
      OBJECT,
      ...agentArgs(h),
    ];
    await this.#script(HOST_NAMES.map((h) => this.#background(h, `agent-${h}`, run(h))).join(''));
  }

  /** Resolves when every VM's port has its program. Asked of the kernel: the agent's own command line takes longer to start. */
  async hostsReady(): Promise<void> {
    for (const vm of VMS)
      await until(`the agent of ${vm.host} to serve ${vm.netns}`, 90_000, async () => {
        const filters = await must(this.machine, ['tc', '-n', vm.host, 'filter', 'show', 'dev', vm.device, 'ingress']);
        return filters.includes('overlay_port') ? true : undefined;
      }).catch(async (e: Error) => {
        throw new Error(`${e.message}\n${await this.log(`agent-${vm.host}`)}`);
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

  /** Starts the sites' IPsec daemons and loads their connection; nobody dials yet. */
  async startSites(): Promise<void> {
    await this.#script(
      SITES.map((s) =>
        this.#background(
          s.netns,
          `charon-${s.netns}`,
          ['charon-systemd'],
          `STRONGSWAN_CONF=${siteDir(s)}/strongswan.conf`,
        ),
      ).join(''),
    );
    for (const s of SITES)
      await until(`the IPsec daemon of ${s.netns}`, 30_000, async () => {
        await must(this.machine, ['swanctl', '--load-all', '--uri', viciOf(s), '--file', `${siteDir(s)}/swanctl.conf`]);
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

  /** The page or undefined when it does not come. */
  async fetch(netns: string, address: string, seconds = 10): Promise<string | undefined> {
    const argv = ['curl', '--silent', '--max-time', String(seconds), `http://${address}/index.html`];
    const done = await this.in(netns, argv, seconds * 1000 + 20_000);
    return done.code === 0 ? done.stdout : undefined;
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

  /** A few echo requests; how many were answered. */
  async ping(netns: string, address: string, count = 3): Promise<PingResult> {
    return readPing(
      (await this.in(netns, ['ping', '-n', '-i', '0.2', '-W', '2', '-c', String(count), address])).stdout,
      false,
    );
  }

  /** Starts a ping every 10 ms under a name; `stopPing` ends it. */
  async startPing(name: string, netns: string, address: string): Promise<void> {
    await this.#script(this.#background(netns, name, ['ping', '-n', '-i', '0.01', address]));
  }

  async stopPing(name: string): Promise<PingResult> {
    await this.#end(name);
    return readPing(new TextDecoder().decode(await this.machine.read(`/run/lab/${name}.out`)), true);
  }

  #capture(name: string, netns: string, device: string, filter: string): string {
    const argv = ['tcpdump', '-i', device, '-s', '600', '-U', '-w', `/run/lab/${name}.pcap`, '-Z', 'root', '-nn'];
    return this.#background(netns, name, filter ? [...argv, filter] : argv);
  }

  #capturing(name: string): Promise<true> {
    return until(`the capture ${name}`, 30_000, async (): Promise<true> => {
      const said = new TextDecoder().decode(await this.machine.read(`/run/lab/${name}.err`));
      if (said.includes('listening on')) return true;
      throw new Error(said);
    });
  }

  /** Starts writing the frames of a device to a file; resolves when the capture runs. */
  async startCapture(name: string, netns: string, device: string, filter = ''): Promise<void> {
    await this.#script(this.#capture(name, netns, device, filter));
    await this.#capturing(name);
  }

  /** What a capture holds so far. */
  capture(name: string): Promise<Uint8Array> {
    return this.machine.read(`/run/lab/${name}.pcap`);
  }

  /** Sends raw frames from a device, as a tenant or a stranger with root rights would. */
  async inject(netns: string, device: string, frames: readonly Uint8Array[]): Promise<void> {
    await this.machine.write('/run/lab/inject.pcap', encodePcap(frames));
    const done = await this.in(netns, [
      'tcpreplay',
      '--intf1',
      device,
      '--topspeed',
      '--quiet',
      '/run/lab/inject.pcap',
    ]);
    if (done.code !== 0) throw new Error(`sending frames from ${netns}: ${done.stderr}`);
  }

  /** MAC of a neighbour, by ARP alone: on the provider wire nothing else may be asked. */
  async macOf(netns: string, device: string, address: string): Promise<string> {
    return until(`${netns} to learn the MAC of ${address}`, 10_000, async () => {
      const { stdout } = await this.in(netns, ['arping', '-f', '-c', '1', '-w', '2', '-I', device, address]);
      return /\[([0-9a-f:]{17})\]/i.exec(stdout)?.[1]?.toLowerCase();
    });
  }
}
