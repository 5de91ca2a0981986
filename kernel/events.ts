/**
 * Link, address and (when asked for) route changes of one namespace as they happen (rtnetlink multicast). An event only says that something changed:
 * whoever is woken reads the namespace again.
 */
import { FdWatcher } from './fdwatch.ts';
import { inNetns } from './netns.ts';
import { parseLink, RTM_DELLINK, RTM_NEWLINK } from './rtnl/link.ts';
import { parseMessages } from './rtnl/message.ts';
import { RTM_DELROUTE, RTM_NEWROUTE } from './rtnl/route.ts';
import { errnoName, int, lastErrno, raw, SOCK_CLOEXEC, sys } from './sys.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const RECEIVE_BUFFER = 1 << 20;
const RTMGRP = { LINK: 0x1, IPV4_IFADDR: 0x10, IPV6_IFADDR: 0x100, IPV4_ROUTE: 0x40, IPV6_ROUTE: 0x400 } as const;
const GROUPS = RTMGRP.LINK | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR;
const ROUTE_GROUPS = RTMGRP.IPV4_ROUTE | RTMGRP.IPV6_ROUTE;
const BUDGET = 64;

/** `sender`: the port of the netlink socket whose request it tells of, 0 when the kernel did it by itself. */
export type KernelEvent =
  | {
      readonly type: 'link';
      readonly sender: number;
      readonly index: number;
      readonly device: string;
      readonly up: boolean;
      readonly carrier: boolean;
    }
  | { readonly type: 'link-gone'; readonly sender: number; readonly index: number; readonly device: string }
  | { readonly type: 'address'; readonly sender: number }
  | { readonly type: 'route'; readonly sender: number }
  /** The kernel dropped events (ENOBUFS): anything may have changed. */
  | { readonly type: 'lost' };

export interface EventWatch {
  close(): void;
}

const buffer = Buffer.alloc(1 << 16);

/** Watches the namespace of the descriptor, or the one the process lives in. `failed`: the socket is dead, watch anew. */
export function watchKernel(
  netnsFd: number | undefined,
  handler: (event: KernelEvent) => void,
  failed: (error: Error) => void,
  routes = false,
): EventWatch {
  const fd = openSocket(netnsFd, GROUPS | (routes ? ROUTE_GROUPS : 0));
  const watcher = new FdWatcher(fd, () => {
    for (let i = 0; i < BUDGET; i++) {
      const length = raw.recv(fd, buffer, buffer.length, 0);
      if (length >= 0) {
        for (const event of eventsOf(Buffer.from(buffer.subarray(0, length)))) handler(event);
        continue;
      }
      const error = errnoName(lastErrno());
      if (error === 'EAGAIN') return;
      if (error === 'ENOBUFS') handler({ type: 'lost' });
      else {
        watcher.close();
        failed(new Error(`netlink events: ${error}`));
        return;
      }
    }
  });
  return watcher;
}

function openSocket(netnsFd: number | undefined, groups: number): number {
  const open = () => sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const fd = netnsFd === undefined ? open() : inNetns(netnsFd, open);
  const self = Buffer.alloc(12);
  self.writeUInt16LE(AF_NETLINK);
  self.writeUInt32LE(groups, 8);
  try {
    sys.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4);
    sys.bind(fd, self, self.length);
  } catch (e) {
    raw.close(fd);
    throw e;
  }
  return fd;
}

function eventsOf(datagram: Buffer): KernelEvent[] {
  const messages = parseMessages(datagram);
  if (!messages.ok) return [{ type: 'lost' }];
  return messages.value.map(({ type, payload, sender }): KernelEvent => {
    if (type === RTM_NEWROUTE || type === RTM_DELROUTE) return { type: 'route', sender };
    if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return { type: 'address', sender };
    const link = parseLink(payload);
    if (!link.ok) return { type: 'lost' };
    const { index, name: device, up, carrier } = link.value;
    return type === RTM_DELLINK
      ? { type: 'link-gone', sender, index, device }
      : { type: 'link', sender, index, device, up, carrier };
  });
}
