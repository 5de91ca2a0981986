/**
 * The gateway process: puts the hands, the loop and the API together and runs them (`hnv-gateway.service`, Type=notify).
 * Ending or killing it stops no packet: namespaces, links, routes, eBPF maps and charon's tunnels stay, and the next start
 * adopts them (R-OPS-2).
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { pino } from 'pino';
import { sysctlNames } from '../compartments/desired.ts';
import {
  DEFAULT_SLOT,
  FIRST_SLOT,
  type Slot,
  slotOfNetns,
  WAIT_DEVICE,
  WAIT_RETURN_DEVICE,
} from '../compartments/numbers.ts';
import { formatConfigError } from '../config/error.ts';
import { loadGateway } from '../config/load.ts';
import { dropNotice } from '../control/drops.ts';
import { EventHub } from '../control/hub.ts';
import { type DataPlaneEvent, watchEvents } from '../control/io/ring.ts';
import { Learner } from '../control/learner.ts';
import type { RecordPlane } from '../control/plane.ts';
import { ABI, RECORD_MAPS, slotOfEntry } from '../encap/abi.ts';
import { withoutRoute } from '../kernel/counters.ts';
import { EntryHand } from '../kernel/entries.ts';
import { KernelHand } from '../kernel/hand.ts';
import { inspectNetns } from '../kernel/inspect.ts';
import { usableAddresses } from '../kernel/local-addresses.ts';
import { Namespaces } from '../kernel/namespaces.ts';
import { warmThreadPool } from '../kernel/netns.ts';
import { ServiceNotifier } from '../kernel/notify.ts';
import { removeOtherPinned } from '../kernel/pinned.ts';
import { NAT_ABI, NAT_ENTRY_MAPS, slotOfNatEntry } from '../nat/abi.ts';
import { RESERVED_PORTS_SETTING } from './adapters.ts';
import { desiredResources } from './desired.ts';
import type { Event } from './event.ts';
import { Gateway } from './gateway.ts';
import { serveApi } from './io/api.ts';
import { Charon } from './io/charon.ts';
import { DataPlane } from './io/data-plane.ts';
import { serveNat } from './io/nat-api.ts';
import { NatHand } from './io/nat-hand.ts';
import { NatLoop } from './io/nat-loop.ts';
import { NatPlane } from './io/nat-plane.ts';
import { NatReadings } from './io/nat-readings.ts';
import { Probes } from './io/probes.ts';
import { secretReader } from './io/secret.ts';
import { FileStore } from './io/store.ts';
import { Readiness } from './readiness.ts';
import type { Source } from './running.ts';
import type { Readings } from './show/readings.ts';
import { Wakes } from './wake.ts';

const CONFIG_DRIVE = '/media/hnv-config/gateway.yaml';
const CONFIG_FILE = '/etc/hnv-gateway/gateway.yaml';
/** How long a start waits for charon before it goes on without the tunnels. */
const CHARON_PATIENCE_MS = 10_000;
/** A full look at reality, for what no event told. */
const RESYNC_MS = 60_000;

/** How often learned addresses are looked at for their age. */
const AGEING_MS = 5000;

interface Options {
  readonly config: string;
  readonly state: string;
  readonly socket: string;
  readonly pin: string;
  readonly object: string;
  readonly natObject?: string;
  readonly vici: string;
  readonly logLevel: string;
}

const options = new Command('hnv-gateway')
  .description('the gateway process')
  .option('--config <file>', 'configuration; auto = the configuration drive, else /etc/hnv-gateway', 'auto')
  .option('--state <directory>', 'slot numbers and the configuration in force', '/var/lib/hnv-gateway')
  .option('--socket <path>', 'API socket', '/run/hnv-gateway/api.sock')
  .option('--pin <directory>', 'where eBPF maps are pinned', '/sys/fs/bpf/hnv-gateway')
  .option('--object <file>', 'the overlay object', path.join(import.meta.dirname, 'bpf/overlay.bpf.o'))
  .option('--nat-object <file>', "the NAT's object; by default beside the overlay's")
  .option('--vici <path>', "charon's control socket", '/run/hnv-charon/charon.vici')
  .option('--log-level <level>', 'pino level', 'info')
  .parse()
  .opts<Options>();

const log = pino({ level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
const service = new ServiceNotifier(process.env);

/** Starts with the first configuration that loads; returns what to tell when there is none. */
async function begin(gateway: Gateway, sources: readonly Source[], configFile: string): Promise<string> {
  for (const source of sources) {
    const started = await gateway.start(source);
    if (started.ok) {
      log.info({ ops: started.value.ops.length, notes: started.value.notes, file: source.file }, 'started');
      return '';
    }
    if (started.error.code === 'FAILED') {
      log.error({ failures: started.error.failures, file: source.file }, 'started, but not all of it is there yet');
      return '';
    }
    for (const e of started.error.errors) log.error({ code: e.code }, formatConfigError(e));
    log.error({ file: source.file }, 'this configuration does not load');
  }
  log.warn({ file: configFile }, 'no configuration: write the file and restart, or use hnvgw apply');
  return sources.length === 0
    ? 'waits for a configuration'
    : `no configuration loads, see the log or: hnvgw validate ${configFile}`;
}

/** Not 0, and the same in every life of this gateway: the choice of ports goes on as it was. */
const natSeed = (key: Uint8Array): number => (Buffer.from(key).readUInt32LE(0) | 1) >>> 0;
const isNatMap = (map: string): boolean => (NAT_ENTRY_MAPS as readonly string[]).includes(map);

/** What is read of a namespace; undefined when there is none. */
function present<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
}

async function main(): Promise<void> {
  // Before any namespace is visited: pool threads inherit the namespace of the moment they are made in.
  await warmThreadPool();
  const configFile =
    options.config === 'auto' ? (fs.existsSync(CONFIG_DRIVE) ? CONFIG_DRIVE : CONFIG_FILE) : options.config;
  const store = new FileStore(options.state, configFile);
  const dataPlane = new DataPlane(options.object, path.join(options.pin, String(ABI)));
  const natPin = path.join(options.pin, 'nat');
  const natPlane = new NatPlane(
    options.natObject ?? path.join(path.dirname(options.object), 'nat.bpf.o'),
    path.join(natPin, String(NAT_ABI)),
    natSeed(store.digestKey),
    os.totalmem(),
  );
  const entryHand = new EntryHand(
    new Map([...dataPlane.entryMaps, ...natPlane.entryMaps]),
    (map, key, value) => (isNatMap(map) ? slotOfNatEntry(map, key, value) : slotOfEntry(map, key, value)),
    RECORD_MAPS,
  );
  const running = () => gateway.running;
  const notice = (event: Event) => gateway.notice(event);
  const isOwn = (device: string) =>
    device === WAIT_DEVICE ||
    device === WAIT_RETURN_DEVICE ||
    (running()?.config.netAdapters.some((n) => n.device === device) ?? false);
  const wakes = new Wakes({
    now: () => performance.now(),
    after: (ms, callback) => void setTimeout(callback, ms).unref(),
    wake: (slot) => notice({ type: 'network-changed', slot }),
  });
  const kernel = new KernelHand({
    programs: { ...dataPlane.programs, ...natPlane.programs },
    sysctls: (netns) => (netns === '' ? [...sysctlNames(netns), RESERVED_PORTS_SETTING] : sysctlNames(netns)),
    nics: () => running()?.config.netAdapters ?? [],
    events: (netns, event) => {
      const slot = netns === '' ? DEFAULT_SLOT : slotOfNetns(netns);
      if (slot === undefined) return;
      // The default compartment has a port of every tenant, and these are looked at from the other end.
      const device = 'device' in event ? event.device : undefined;
      if (slot === DEFAULT_SLOT && device !== undefined && !isOwn(device)) return;
      wakes.event(slot);
    },
  });
  const namespaces = new Namespaces();
  const charon = new Charon(options.vici, running, notice, log);
  const gateway: Gateway = new Gateway({
    hands: () => [kernel, entries, ...charon.hands()],
    tunnels: charon,
    store,
    log,
    usableAddresses: () => usableAddresses(namespaces),
    load: ({ file, text }) => loadGateway(file, text, secretReader(path.dirname(file))),
    desired: (candidate, up, scope) => desiredResources(candidate, up, scope, dataPlane, natPlane, store.digestKey),
    recordOps: (before, after, networks) => dataPlane.recordOps(before, after, networks),
    statusChanged: () => readiness.changed(),
    later: (event, ms) => setTimeout(notice, ms, event).unref(),
  });
  const readiness = new Readiness({
    service,
    status: () => gateway.status,
    // Until now programs of another version may have worked on its maps.
    settled: () => {
      removeOtherPinned(options.pin, ABI);
      removeOtherPinned(natPin, NAT_ABI);
    },
  });
  const probes = new Probes(() => notice({ type: 'health-changed' }), log);
  natPlane.healthy = (rule, dip) => probes.healthy(rule, dip);
  const natLoop = new NatLoop(natPlane, gateway, probes, options.state, log);
  const entries: NatHand = new NatHand(entryHand, natPlane, natLoop);
  const readings: Readings = {
    netns: (netns) => present(() => inspectNetns(netns)),
    entries: (map) => (map === 'drops' ? [...dataPlane.entries(map), ...natPlane.read(map)] : dataPlane.entries(map)),
    device: (index) => dataPlane.device(index),
    withoutRoute: (netns) => present(() => withoutRoute(namespaces, netns)),
    tunnel: (name) => charon.reading(name),
  };

  charon.start();
  await Promise.race([charon.ready, new Promise((resolve) => setTimeout(resolve, CHARON_PATIENCE_MS))]);
  const without = await begin(gateway, store.bootSources(), configFile);

  natLoop.start();
  const natReadings = new NatReadings(natPlane, natLoop.journal, () => ({
    routingDomain: (slot) => gateway.routingDomain(slot),
    boot: natLoop.boot,
  }));
  const events = new EventHub();
  const names = {
    routingDomain: (slot: Slot) => (slot < FIRST_SLOT ? '' : gateway.routingDomain(slot)),
    device: (index: number) => dataPlane.device(index),
  };
  const plane: RecordPlane = {
    records: () => gateway.records,
    changeRecords: (ask) => gateway.changeRecords(ask),
    events,
    ageOf: (id, key) => {
      const heard = learner.heardAt(id, key);
      return heard === undefined ? undefined : (performance.now() - heard) / 1000;
    },
  };
  const learner = new Learner({ plane, routingDomainId: (slot) => running()?.domains.get(slot) });
  const api = await serveApi(options.socket, gateway, readings, plane, log, (app) =>
    serveNat(app, running, natReadings),
  );
  const learning = (work: Promise<void>) => work.catch((e: unknown) => log.error({ err: e }, 'learning failed'));
  const tellDrops = (happened: readonly DataPlaneEvent[]) => {
    if (!events.idle) for (const e of happened) if (e.type === 'DROPPED') events.tell(dropNotice(e, names));
  };
  dataPlane.watch((happened) => {
    const learned = happened.filter((e) => e.type === 'LEARNED');
    if (learned.length) void learning(learner.take(learned, performance.now()));
    tellDrops(happened);
  });
  watchEvents(natPlane.map('events'), tellDrops);
  setInterval(() => void learning(learner.age(performance.now())), AGEING_MS);
  setInterval(notice, RESYNC_MS, { type: 'resync' });
  if (service.watchdogIntervalMs) setInterval(() => service.watchdog(), service.watchdogIntervalMs);
  readiness.ready(without);

  const stop = async () => {
    service.stopping();
    await api.close();
    await charon.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
}

main().catch((error: unknown) => {
  log.fatal({ err: error }, 'the gateway cannot run');
  process.exitCode = 1;
  // pino writes synchronously here; nothing else may keep a process alive that failed to start.
  process.exit();
});
