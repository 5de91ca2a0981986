/**
 * The command line of a guest's QEMU, as data. Software emulation only: /dev/kvm is never used, for it may exist and hang the
 * guest. Everything a guest leaves on the host is in its run directory.
 */
import { join } from 'node:path';

/** A network card whose other end is another guest's card: an Ethernet cable made of a UNIX stream socket. */
export interface Nic {
  readonly wire: string; // path of the socket, the same at both ends
  readonly listens: boolean; // true at the end that starts first
  readonly mac: string;
  readonly mtu?: number;
}

export interface GuestSpec {
  readonly name: string;
  readonly directory: string; // run directory: sockets, logs, pid file
  readonly disk: string; // never written: changes go to a temporary file that ends with QEMU
  readonly diskFormat: 'qcow2' | 'raw';
  /** Boots this kernel instead of the disk's boot sector. */
  readonly kernel?: { readonly image: string; readonly initrd: string; readonly append: string };
  readonly drives?: readonly string[]; // raw images, read-only: vdb, vdc …
  readonly nics?: readonly Nic[]; // eth0, eth1 …
  readonly memoryMiB?: number;
  readonly cpus?: number;
}

/** Number of byte streams (shells, captures) that a guest can have at the same time besides the agent. */
export const STREAMS = 4;
export const streamPort = (index: number): string => `org.hnv-gateway.stream.${index}`;

/** Paths in a guest's run directory. */
export const runFiles = (directory: string) => ({
  agent: join(directory, 'agent.sock'),
  stream: (index: number) => join(directory, `stream${index}.sock`),
  console: join(directory, 'console.log'),
  log: join(directory, 'qemu.log'),
  pid: join(directory, 'pid'),
});

/**
 * What ESP and Node use and no more. AVX, which `max` would bring, is new in QEMU 7.2's emulation and crashed a guest's first
 * program once; nested virtualization would only make the guest load KVM.
 */
const CPU = 'qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+aes,+pclmulqdq,+rdrand,+rdtscp,-svm';

/** QEMU reads a comma in an option as the end of a value; a doubled one is a comma. */
const quoted = (value: string): string => value.replaceAll(',', ',,');

export function qemuArguments(spec: GuestSpec): string[] {
  const files = runFiles(spec.directory);
  const port = (id: string, path: string, name: string): string[] => [
    ...['-chardev', `socket,id=${id},path=${quoted(path)},server=on,wait=off`],
    ...['-device', `virtserialport,chardev=${id},name=${name}`],
  ];
  const args = ['-name', spec.name, '-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none'];
  args.push('-accel', 'tcg,thread=multi', '-machine', 'q35,sata=off,vmport=off', '-cpu', CPU);
  args.push('-smp', String(spec.cpus ?? 2), '-m', String(spec.memoryMiB ?? 768), '-pidfile', files.pid);
  args.push('-chardev', `file,id=console,path=${quoted(files.console)}`, '-serial', 'chardev:console');
  args.push('-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng');
  args.push('-drive', `file=${quoted(spec.disk)},format=${spec.diskFormat},if=virtio,snapshot=on,cache=unsafe`);
  for (const drive of spec.drives ?? []) args.push('-drive', `file=${quoted(drive)},format=raw,if=virtio,readonly=on`);
  args.push('-device', 'virtio-serial-pci', ...port('agent', files.agent, 'org.qemu.guest_agent.0'));
  for (let i = 0; i < STREAMS; i++) args.push(...port(`stream${i}`, files.stream(i), streamPort(i)));
  for (const [i, nic] of (spec.nics ?? []).entries()) {
    const end = nic.listens ? 'on' : 'off';
    args.push('-netdev', `stream,id=net${i},server=${end},addr.type=unix,addr.path=${quoted(nic.wire)}`);
    args.push(
      '-device',
      `virtio-net-pci,romfile=,netdev=net${i},mac=${nic.mac}${nic.mtu ? `,host_mtu=${nic.mtu}` : ''}`,
    );
  }
  if (spec.kernel)
    args.push('-kernel', spec.kernel.image, '-initrd', spec.kernel.initrd, '-append', spec.kernel.append);
  return args;
}
