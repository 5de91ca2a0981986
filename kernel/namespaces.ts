/**
 * The namespaces that the kernel hand works in, by name: one descriptor and one netlink socket each, opened at first use and
 * kept (two descriptors a compartment, three with its events: raise RLIMIT_NOFILE). '' is the default compartment.
 */
import fs from 'node:fs';
import type { Netns } from '../compartments/resource.ts';
import { type EventWatch, type KernelEvent, watchKernel } from './events.ts';
import { inNetns, NETNS_DIRECTORY, netnsExists, netnsOpen } from './netns.ts';
import { getLink, type Link, type LinkSelector, parseLink, RTM_GETLINK } from './rtnl/link.ts';
import { isNetlinkError, Netlink } from './rtnl/socket.ts';

interface Open {
  readonly fd: number;
  readonly inode: number;
  readonly netlink: Netlink;
  watch?: EventWatch | undefined;
}

export interface NamespacesOptions {
  /** Where the compartments' namespaces are mounted; /run/netns, so that ip(8) sees them. */
  readonly directory?: string;
  /** A namespace file that stands for the default compartment in place of the one the process lives in. */
  readonly home?: string;
  /** Hears of every link, address and route that somebody else changes in a namespace, from its first use to its close(). */
  readonly events?: (netns: Netns, event: KernelEvent) => void;
}

export class Namespaces {
  readonly directory: string;
  readonly #home: string;
  readonly #events: NamespacesOptions['events'];
  readonly #open = new Map<Netns, Open>();

  constructor(options: NamespacesOptions = {}) {
    this.directory = options.directory ?? NETNS_DIRECTORY;
    this.#events = options.events;
    this.#home = options.home ?? '/proc/thread-self/ns/net';
  }

  exists(netns: Netns): boolean {
    return netns === '' || netnsExists(netns, this.directory);
  }

  /** Throws ENOENT when there is no such namespace. */
  netlink(netns: Netns): Netlink {
    return this.#get(netns).netlink;
  }

  /** For setns and IFLA_NET_NS_FD; belongs to this object. */
  fd(netns: Netns): number {
    return this.#get(netns).fd;
  }

  /** Synchronous work inside; see inNetns. */
  visit<T>(netns: Netns, work: () => T): T {
    return inNetns(this.fd(netns), work);
  }

  link(netns: Netns, selector: LinkSelector): Link | undefined {
    try {
      return this.netlink(netns).get(RTM_GETLINK, getLink(selector), parseLink);
    } catch (e) {
      if (isNetlinkError(e, 'ENODEV')) return undefined;
      throw e;
    }
  }

  /** A device that a resource names. Throws with the name when there is none. */
  existing(netns: Netns, device: string): Link {
    const link = this.link(netns, device);
    if (!link) throw new Error(`ENODEV: there is no device ${device}${netns && ` in ${netns}`}`);
    return link;
  }

  /** Its index. */
  index(netns: Netns, device: string): number {
    return this.existing(netns, device).index;
  }

  /** Must come before a namespace is deleted: an open socket keeps it, and every link in it, alive. */
  close(netns: Netns): void {
    const open = this.#open.get(netns);
    if (!open) return;
    this.#open.delete(netns);
    open.watch?.close();
    open.netlink.close();
    fs.closeSync(open.fd);
  }

  closeAll(): void {
    for (const netns of [...this.#open.keys()]) this.close(netns);
  }

  #get(netns: Netns): Open {
    const known = this.#open.get(netns);
    if (known && (netns === '' || this.#isCurrent(netns, known))) {
      if (!known.watch) this.#watch(netns, known);
      return known;
    }
    this.close(netns);
    const fd = netns === '' ? fs.openSync(this.#home, 'r') : netnsOpen(netns, this.directory);
    try {
      const open: Open = { fd, inode: fs.fstatSync(fd).ino, netlink: new Netlink(fd) };
      this.#watch(netns, open);
      this.#open.set(netns, open);
      return open;
    } catch (e) {
      fs.closeSync(fd);
      throw e;
    }
  }

  /** What the namespace's own socket does wakes nobody: whoever did it has looked. A dead watch begins anew at the next use. */
  #watch(netns: Netns, open: Open): void {
    const events = this.#events;
    if (!events) return;
    open.watch = watchKernel(
      open.fd,
      (event) => {
        if (event.type === 'lost' || event.sender !== open.netlink.port) events(netns, event);
      },
      () => {
        open.watch = undefined;
        events(netns, { type: 'lost' });
      },
      true,
    );
  }

  /** Someone may have deleted the name, or made another namespace under it. */
  #isCurrent(netns: Netns, open: Open): boolean {
    return fs.statSync(`${this.directory}/${netns}`, { throwIfNoEntry: false })?.ino === open.inode;
  }
}
