// SPDX-License-Identifier: Apache-2.0
// New flows: every frame comes from another source address and port, so each opens a session. Closed loop like the generator:
// never more than OUTSTANDING frames on the way, counted by the sink. Before and after its slice a path forgets its flows.
//
// usage: newflows measure PINNED-COUNTER SLICE-SECONDS ROTATIONS PATH...
//        newflows fill PINNED-COUNTER COUNT PATH...     each path opens COUNT flows, which stay
// PATH: NETNS-FILE,INTERFACE,NEXT-HOP-MAC,SOURCE,DESTINATION,FORGET. Sources are the 64 addresses from SOURCE on.
// FORGET: "-" = nothing is kept; "conntrack:NETNS-FILE" flushes the connection tracking of a namespace (ctnetlink);
// "purge:PINNED-PROGRAM:SLOT" runs the NAT's nat_purge for one tenant.
// measure prints a JSON array with an object for each path: fps (flows per second, one value a rotation), lost.
// fill prints a JSON array with the number of arrivals of each path.
#include "frames.h"
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>

enum { SOURCES = 64, FIRST_PORT = 1024, PORTS = 64000, STRIDE = 25717 };

struct path {
	int fd;
	uint8_t frames[BATCH][FRAME];
	struct iovec pieces[BATCH];
	struct mmsghdr batch[BATCH];
	uint32_t source;
	int conntrack;	      // netlink socket, or -1
	int purge;	      // program, or -1
	uint32_t slot;
	double *fps;
	uint64_t lost;
};

static struct path paths[MAX_PATHS];
static const volatile uint64_t *arrived;

static void open_conntrack(struct path *p, const char *netns)
{
	enter(netns);
	p->conntrack = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (p->conntrack < 0)
		die("ctnetlink");
}

static void open_forget(struct path *p, char *text)
{
	char *kind = strsep(&text, ":"), *what = strsep(&text, ":");
	p->conntrack = p->purge = -1;
	if (!strcmp(kind, "conntrack") && what)
		open_conntrack(p, what);
	else if (!strcmp(kind, "purge") && what && text)
		p->purge = pinned(what), p->slot = strtoul(text, NULL, 10);
	else if (strcmp(kind, "-"))
		errno = EINVAL, die("FORGET");
}

static void open_path(struct path *p, char *text, int rotations)
{
	uint8_t mac[ETH_ALEN];
	char *field[6];
	if (fields(text, field, 6) != 6)
		errno = EINVAL, die("PATH");
	open_forget(p, field[5]);
	enter(field[0]);
	p->fd = open_socket(field[1], mac);
	for (int i = 0; i < BATCH; i++) {
		build(p->frames[i], mac, field[2], field[3], field[4]);
		p->pieces[i] = (struct iovec){ p->frames[i], FRAME };
		p->batch[i].msg_hdr = (struct msghdr){ .msg_iov = &p->pieces[i], .msg_iovlen = 1 };
	}
	p->source = ntohl(((struct iphdr *)(p->frames[0] + sizeof(struct ethhdr)))->saddr);
	p->fps = calloc(rotations, sizeof *p->fps);
	if (!p->fps)
		die("memory");
}

static void flush_conntrack(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = { { .nlmsg_len = sizeof request,
			.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		      { .nfgen_family = AF_INET, .version = NFNETLINK_V0 } };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} reply;
	if (send(fd, &request, sizeof request, 0) < 0 || recv(fd, &reply, sizeof reply, 0) < (ssize_t)sizeof reply ||
	    reply.header.nlmsg_type != NLMSG_ERROR || reply.error.error)
		die("flush of conntrack");
}

static void purge(int program, uint32_t slot)
{
	struct {
		uint32_t rdid, address, pool, ended; // struct hnv_nat_purge
	} context = { .rdid = slot, .pool = ~0U };
	union bpf_attr attr = { 0 };
	attr.test.prog_fd = program;
	attr.test.ctx_in = (uint64_t)(uintptr_t)&context;
	attr.test.ctx_size_in = sizeof context;
	if (syscall(SYS_bpf, BPF_PROG_RUN, &attr, sizeof attr) || attr.test.retval)
		die("nat_purge");
}

static void forget(const struct path *p)
{
	if (p->conntrack >= 0)
		flush_conntrack(p->conntrack);
	if (p->purge >= 0)
		purge(p->purge, p->slot);
}

// Gives the frames of a batch the sources of the flows from `flow` on. PORTS flows in a row have different ports, so that masquerade
// can keep them all, which is fastest for it.
static void address(struct path *p, uint32_t flow)
{
	for (int i = 0; i < BATCH; i++, flow++) {
		struct iphdr *ip = (void *)(p->frames[i] + sizeof(struct ethhdr));
		struct udphdr *udp = (void *)(ip + 1);
		ip->saddr = htonl(p->source + (flow + flow / PORTS) % SOURCES);
		ip->check = 0;
		ip->check = ip_checksum(ip);
		udp->source = htons(FIRST_PORT + (uint32_t)((uint64_t)flow * STRIDE % PORTS));
	}
}

struct outcome {
	uint64_t packets, lost;
	double took;
	uint32_t next; // flow
};

// Opens flows from `flow` on, for `seconds` or until a batch reaches `last`.
static struct outcome run(struct path *p, double seconds, uint32_t flow, uint32_t last)
{
	uint64_t start = *arrived, sent = 0, given_up = 0;
	double begin = now(), end = begin + seconds, t = begin;
	struct outcome o = { 0 };
	while (t < end && flow < last) {
		uint64_t seen = *arrived - start;
		for (double moved = t; sent - given_up - *arrived + start + BATCH > OUTSTANDING; t = now()) {
			__builtin_ia32_pause();
			if (*arrived - start != seen)
				seen = *arrived - start, moved = t;
			else if (t - moved > STALLED)
				given_up = sent - seen;
		}
		address(p, flow);
		int n = sendmmsg(p->fd, p->batch, BATCH, 0);
		if (n > 0)
			sent += n, flow += n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		t = now();
	}
	o.took = t - begin;
	o.packets = *arrived - start;
	for (double until = t + STALLED; now() < until && *arrived - start < sent;)
		__builtin_ia32_pause();
	o.lost = sent - (*arrived - start);
	o.next = flow;
	return o;
}

static void slice(struct path *p, double seconds, int rotation)
{
	forget(p);
	struct outcome warm = run(p, seconds * WARM_UP, 0, ~0U);
	struct outcome o = run(p, seconds, warm.next, ~0U);
	forget(p);
	p->fps[rotation] = o.packets / o.took;
	p->lost += warm.lost + o.lost;
}

static int measure(int count, double seconds, int rotations)
{
	for (int rotation = 0; rotation < rotations; rotation++)
		for (int turn = 0; turn < count; turn++)
			slice(&paths[whose(rotation, turn, count)], seconds, rotation);
	for (int i = 0; i < count; i++) {
		printf("%s{\"lost\":%llu,\"fps\":[", i ? "," : "[", (unsigned long long)paths[i].lost);
		for (int r = 0; r < rotations; r++)
			printf("%s%.0f", r ? "," : "", paths[i].fps[r]);
		printf("]}");
	}
	printf("]\n");
	return 0;
}

static int fill(int count, uint32_t flows)
{
	for (int i = 0; i < count; i++) {
		struct outcome o = run(&paths[i], 1e9, 0, flows);
		printf("%s%u", i ? "," : "[", (unsigned)(o.next - o.lost));
	}
	printf("]\n");
	return 0;
}

int main(int argc, char **argv)
{
	bool filling = argc > 4 && !strcmp(argv[1], "fill");
	int first = filling ? 4 : 5, count = argc - first, rotations = filling ? 1 : argc > 4 ? atoi(argv[4]) : 0;

	if (count < 1 || count > MAX_PATHS || rotations < 1 || (!filling && strcmp(argv[1], "measure")))
		errno = EINVAL, die("usage: newflows measure COUNTER SECONDS ROTATIONS PATH... | newflows fill COUNTER COUNT PATH...");
	run_on(0);
	arrived = counter(argv[2]);
	for (int i = 0; i < count; i++)
		open_path(&paths[i], argv[first + i], rotations);
	return filling ? fill(count, strtoul(argv[3], NULL, 10)) : measure(count, atof(argv[3]), rotations);
}
