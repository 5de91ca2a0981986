// SPDX-License-Identifier: Apache-2.0
// Closed-loop packet generator: 60-byte UDP frames from CPU 0, never more than OUTSTANDING of them on the way. It reads the
// sink's counter from shared memory, so no queue overflows, and the rate that results is what the chain behind the first hop
// can carry; no search for a loss-free rate is needed.
//
// usage: generator PINNED-COUNTER SLICE-SECONDS ROTATIONS PATH...
// PATH: NETNS-FILE,INTERFACE,NEXT-HOP-MAC,SOURCE,DESTINATION,COUNT: every frame goes to one of the COUNT addresses from
// DESTINATION on, at random. In a rotation every path has one slice.
// prints one JSON array with an object for each path: pps (packets per second, one value a rotation), lost, waiting (share of
// the time the generator waited for the chain), busy (share of the time CPU 1 worked).
#include "slices.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { BATCH = 32, OUTSTANDING = 192, FRAME = 60, DISCARD_PORT = 9, SOURCE_PORT = 40000, MAX_PATHS = 16 };
static const double WARM_UP = 0.4; // of a slice, before it counts: caches and clock
static const double STALLED = 0.5; // seconds without an arrival after which what is on the way counts as lost

struct path {
	int fd;
	uint8_t frames[BATCH][FRAME];
	struct iovec pieces[BATCH];
	struct mmsghdr batch[BATCH];
	uint32_t first, destinations;
	double *pps;
	double waited, took;
	uint64_t lost, worked, ticks;
};

static struct path paths[MAX_PATHS];
static const volatile uint64_t *arrived;

static const volatile uint64_t *counter(const char *path)
{
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
	int fd = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr);
	if (fd < 0)
		die(path);
	void *page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die("mmap of the counter");
	return page;
}

static uint16_t ip_checksum(const void *header)
{
	const uint16_t *word = header;
	uint32_t sum = 0;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void build(uint8_t *frame, const uint8_t *source_mac, const char *next_hop, const char *from, const char *to)
{
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	uint8_t *d = eth->h_dest;
	if (sscanf(next_hop, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", d, d + 1, d + 2, d + 3, d + 4, d + 5) != 6)
		errno = EINVAL, die("next-hop MAC");
	memcpy(eth->h_source, source_mac, ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(FRAME - sizeof *eth), .ttl = 64, .protocol = IPPROTO_UDP };
	if (inet_pton(AF_INET, from, &ip->saddr) != 1 || inet_pton(AF_INET, to, &ip->daddr) != 1)
		errno = EINVAL, die("address");
	ip->check = ip_checksum(ip);
	udp->source = htons(SOURCE_PORT);
	udp->dest = htons(DISCARD_PORT);
	udp->len = htons(FRAME - sizeof *eth - sizeof *ip); // checksum 0 = none (RFC 768)
}

// A random destination for every frame of the batch (xorshift, Marsaglia 2003).
static void scatter(struct path *p)
{
	static uint32_t state = 2463534242;
	for (int i = 0; i < BATCH; i++) {
		struct iphdr *ip = (void *)(p->frames[i] + sizeof(struct ethhdr));
		state ^= state << 13, state ^= state >> 17, state ^= state << 5;
		ip->daddr = htonl(p->first + (uint32_t)((uint64_t)state * p->destinations >> 32));
		ip->check = 0;
		ip->check = ip_checksum(ip);
	}
}

static int open_socket(const char *interface, uint8_t *mac)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	if (fd < 0)
		die("socket");
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		die(interface);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(interface) };
	if (bind(fd, (struct sockaddr *)&address, sizeof address))
		die("bind");
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one))
		die("PACKET_QDISC_BYPASS");
	return fd;
}

static void open_path(struct path *p, char *text, int rotations)
{
	uint8_t mac[ETH_ALEN];
	char *field[6];
	if (fields(text, field, 6) != 6)
		errno = EINVAL, die("PATH");
	enter(field[0]);
	p->fd = open_socket(field[1], mac);
	for (int i = 0; i < BATCH; i++) {
		build(p->frames[i], mac, field[2], field[3], field[4]);
		p->pieces[i] = (struct iovec){ p->frames[i], FRAME };
		p->batch[i].msg_hdr = (struct msghdr){ .msg_iov = &p->pieces[i], .msg_iovlen = 1 };
	}
	p->first = ntohl(((struct iphdr *)(p->frames[0] + sizeof(struct ethhdr)))->daddr);
	p->destinations = strtoul(field[5], NULL, 10);
	p->pps = calloc(rotations, sizeof *p->pps);
	if (!p->pps)
		die("memory");
}

// Clock ticks CPU 1 has worked (everything but idle and iowait) and in all, from /proc/stat.
static void cpu1(uint64_t *worked, uint64_t *all)
{
	char line[512];
	FILE *f = fopen("/proc/stat", "r");
	*worked = *all = 0;
	while (f && fgets(line, sizeof line, f)) {
		unsigned long long v[8];
		if (sscanf(line, "cpu1 %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) != 8)
			continue;
		for (int i = 0; i < 8; i++)
			*all += v[i];
		*worked = *all - v[3] - v[4];
	}
	if (f)
		fclose(f);
}

struct outcome {
	uint64_t packets, lost;
	double took, waited;
};

// Sends batches for `seconds`; counts what arrived in that time, then waits for the rest.
static struct outcome run(struct path *p, double seconds)
{
	uint64_t start = *arrived, sent = 0, given_up = 0;
	double begin = now(), end = begin + seconds, t = begin;
	struct outcome o = { 0 };
	while (t < end) {
		uint64_t seen = *arrived - start;
		if (sent - given_up - seen + BATCH > OUTSTANDING) {
			double since = t, moved = t;
			while (sent - given_up - *arrived + start + BATCH > OUTSTANDING) {
				for (int i = 0; i < 32; i++)
					__builtin_ia32_pause();
				t = now();
				if (*arrived - start != seen)
					seen = *arrived - start, moved = t;
				else if (t - moved > STALLED)
					given_up = sent - seen;
			}
			o.waited += t - since;
		}
		if (p->destinations > 1)
			scatter(p);
		int n = sendmmsg(p->fd, p->batch, BATCH, 0);
		if (n > 0)
			sent += n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		t = now();
	}
	o.took = t - begin;
	o.packets = *arrived - start;
	for (double until = t + STALLED; now() < until && *arrived - start < sent - given_up;)
		__builtin_ia32_pause();
	o.lost = sent - (*arrived - start);
	return o;
}

static void slice(struct path *p, double seconds, int rotation)
{
	uint64_t worked[2], ticks[2];
	uint64_t lost = run(p, seconds * WARM_UP).lost;
	cpu1(&worked[0], &ticks[0]);
	struct outcome o = run(p, seconds);
	cpu1(&worked[1], &ticks[1]);
	p->pps[rotation] = o.packets / o.took;
	p->lost += lost + o.lost;
	p->waited += o.waited;
	p->took += o.took;
	p->worked += worked[1] - worked[0];
	p->ticks += ticks[1] - ticks[0];
}

int main(int argc, char **argv)
{
	int count = argc - 4, rotations = argc > 3 ? atoi(argv[3]) : 0;
	double seconds = argc > 2 ? atof(argv[2]) : 0;

	if (count < 1 || count > MAX_PATHS || rotations < 1 || seconds <= 0)
		errno = EINVAL, die("usage: generator PINNED-COUNTER SLICE-SECONDS ROTATIONS PATH...");
	run_on(0);
	arrived = counter(argv[1]);
	for (int i = 0; i < count; i++)
		open_path(&paths[i], argv[4 + i], rotations);

	for (int rotation = 0; rotation < rotations; rotation++)
		for (int turn = 0; turn < count; turn++)
			slice(&paths[whose(rotation, turn, count)], seconds, rotation);

	for (int i = 0; i < count; i++) {
		struct path *p = &paths[i];
		printf("%s{\"lost\":%llu,\"waiting\":%.4f,\"busy\":%.4f,\"pps\":[", i ? "," : "[", (unsigned long long)p->lost,
		       p->waited / p->took, (double)p->worked / (p->ticks ?: 1));
		for (int r = 0; r < rotations; r++)
			printf("%s%.0f", r ? "," : "", p->pps[r]);
		printf("]}");
	}
	printf("]\n");
	return 0;
}
