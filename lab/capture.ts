/** Where one can capture, and the tcpdump that does it: a wire, a VM or server, or an interface inside a compartment. */
import { Appliance } from './appliance.ts';
import { INTERNET_WIRE, PROVIDER_WIRE } from './checks/wires.ts';
import { type MachineName, running } from './places.ts';
import { TOPOLOGY } from './world/topology.ts';

interface Tap {
  readonly machine: MachineName;
  readonly netns: string; // '' = the machine's own
  readonly device: string;
}

const WIRES = [INTERNET_WIRE, PROVIDER_WIRE];

/** The device of a world namespace that a bare name means: its first one. */
function firstDevice(netns: string): string {
  const ends = TOPOLOGY.wires.flatMap((w) => [w.a, ...(w.b ? [w.b] : [])]);
  return ends.find((e) => e.netns === netns)?.device ?? 'lo';
}

/** `internet-wire`, `provider-wire`, `<namespace>[/<device>]` of the world, `<routing domain>/<interface>` of the gateway. */
export async function tapOf(where: string): Promise<Tap> {
  const wire = WIRES.find((w) => w.name === where);
  if (wire) return { machine: 'world', ...wire };
  const [first = '', device] = where.split('/');
  if (TOPOLOGY.netns.some((n) => n.name === first))
    return { machine: 'world', netns: first, device: device ?? firstDevice(first) };
  const { compartments } = await new Appliance(running('gateway')).read('compartments');
  const compartment = compartments.find((c) => c.CompartmentDescription.toLowerCase() === first.toLowerCase());
  if (compartment && device) return { machine: 'gateway', netns: compartment.Namespace, device };
  const names = [...WIRES.map((w) => w.name), ...TOPOLOGY.netns.map((n) => n.name), 'Contoso/IfCe1'];
  throw new Error(`nothing to capture at ${where}; there is: ${names.join(', ')}`);
}

/** Streams tcpdump's output until it ends or this process gets SIGINT. `raw`: pcap, else text. */
export async function capture(
  where: string,
  filter: readonly string[],
  raw: boolean,
  out: NodeJS.WritableStream,
): Promise<void> {
  const tap = await tapOf(where);
  const enter = tap.netns ? ['nsenter', `--net=/run/netns/${tap.netns}`] : [];
  const form = raw ? ['-U', '-w', '-'] : ['-l', '-e'];
  const argv = [...enter, 'tcpdump', '-nn', '-Z', 'root', '-i', tap.device, ...form, ...filter];
  const stream = await running(tap.machine).stream(argv);
  process.once('SIGINT', () => void stream.stop());
  stream.stdout.pipe(out, { end: false });
  const { code, stderr } = await stream.done;
  if (code !== 0 && code < 128) throw new Error(`tcpdump: ${stderr.trim()}`);
}
