/** Pings inside the world, every 10 ms over several flows at once: begun together, ended together, both directions counted. */
import { gunzipSync } from 'node:zlib';
import { type Machine, must } from '../machine.ts';
import { type PingResult, readPing } from './ping.ts';

export interface PingedFlow {
  readonly from: string; // namespace
  readonly to: string; // address
  readonly at: string; // namespace that has the address
}

export interface Pinged extends PingResult {
  /** Echo requests that the other end has received meanwhile, whoever sent them. */
  readonly arrived: number;
}

export interface Pings {
  stop(): Promise<readonly Pinged[]>;
}

const enter = (netns: string): string => `nsenter --net=/run/netns/${netns}`;
const file = (i: number): string => `/run/lab/ping-${i}`;

/** Prints InEchos of `Icmp:` (/proc/net/snmp) of the namespaces, a line each. */
const echoes = (flows: readonly PingedFlow[]): string =>
  flows.map(({ at }) => `${enter(at)} busybox awk '/^Icmp: [0-9]/ { print $9 }' /proc/net/snmp`).join('\n');

/** Each flow begins when it has answered once: its first packets may wait for neighbours. */
export async function startPings(machine: Machine, flows: readonly PingedFlow[]): Promise<Pings> {
  const first = flows.map(
    ({ from, to }, i) => `${enter(from)} ping -n -q -i 0.2 -w 20 -c 1 ${to} >/dev/null & p${i}=$!`,
  );
  const answered = flows.map(({ from, to }, i) => `wait $p${i} || { echo "no answer: ${from} to ${to}" >&2; exit 1; }`);
  const all = flows.map(
    ({ from, to }, i) =>
      `setsid ${enter(from)} ping -n -D -i 0.01 ${to} >${file(i)}.out 2>${file(i)}.err </dev/null &\necho $! >${file(i)}.pid`,
  );
  const script = ['set -eu', ...first, ...answered, echoes(flows), ...all, 'date +%s.%N'].join('\n');
  const lines = (await must(machine, ['sh', '-s'], { stdin: script, timeoutMs: 60_000 })).trim().split('\n');
  // The guest's clock was set from a clock of whole seconds; the time that the answer took is an error of a fraction of one.
  const ahead = Number(lines.at(-1)) - Date.now() / 1000;
  const before = lines.map(Number);
  return {
    stop: async () => {
      const files = flows.map((_, i) => file(i));
      const end = `pids=$(cat ${files.map((f) => `${f}.pid`).join(' ')}); kill -INT $pids 2>/dev/null || true
for pid in $pids; do while kill -0 $pid 2>/dev/null; do sleep 0.05; done; done
for f in ${files.join(' ')}; do gzip -1 -c $f.out | base64 -w 0; echo; done
${echoes(flows)}`;
      const said = (await must(machine, ['sh', '-s'], { stdin: end, timeoutMs: 60_000 })).trim().split('\n');
      return flows.map((_, i): Pinged => {
        const result = readPing(gunzipSync(Buffer.from(said[i]!, 'base64')).toString(), true);
        const arrived = Number(said[flows.length + i]) - before[i]!;
        return { ...result, lostAt: result.lostAt.map((at) => at - ahead), arrived };
      });
    },
  };
}
