// SPDX-License-Identifier: Apache-2.0
// Closed-loop packet generator: 60-byte UDP frames from CPU 0, never more than OUTSTANDING of them on the way. It reads the
// sink's counter from shared memory, so no queue overflows, and the rate that results is what the chain behind the first hop
// can carry; no search for a loss-free rate is needed.
//
// usage: generator INTERFACE NEXT-HOP-MAC SOURCE DESTINATION SECONDS PINNED-COUNTER [COUNT]
// COUNT: every frame goes to one of the COUNT addresses from DESTINATION on, at random.
// prints one JSON object: packets, seconds, peak (packets per second of the best window: what the chain carries while nothing
// else wants the CPUs), lost, waiting (share of the time the generator waited for the chain), busy (share of the time CPU 1
// worked).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, OUTSTANDING = 192, FRAME = 60, DISCARD_PORT = 9, SOURCE_PORT = 40000 };
static const double WINDOW = 0.02; // seconds over which the peak is taken
static const double WARM_UP = 0.1; // seconds, not counted
static const double STALLED = 0.5; // seconds without an arrival after which what is on the way counts as lost

static void die(const char *what)
{
	fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

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

static uint8_t frames[BATCH][FRAME];
static uint32_t destinations = 1, first;

// A random destination for every frame of the batch (xorshift, Marsaglia 2003).
static void scatter(void)
{
	static uint32_t state = 2463534242;
	for (int i = 0; i < BATCH; i++) {
		struct iphdr *ip = (void *)(frames[i] + sizeof(struct ethhdr));
		state ^= state << 13, state ^= state >> 17, state ^= state << 5;
		ip->daddr = htonl(first + (uint32_t)((uint64_t)state * destinations >> 32));
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

static double waited, peak;
static uint64_t lost;

// Sends batches for `seconds`; returns how many arrived in that time.
static uint64_t run(int fd, struct mmsghdr *batch, const volatile uint64_t *arrived, double seconds, double *took)
{
	uint64_t start = *arrived, sent = 0, lost_here = 0;
	double begin = now(), end = begin + seconds, t = begin, window = begin;
	uint64_t before = start;
	waited = peak = 0;
	while (t < end) {
		uint64_t seen = *arrived - start;
		if (sent - lost_here - seen + BATCH > OUTSTANDING) {
			double since = t, moved = t;
			while (sent - lost_here - *arrived + start + BATCH > OUTSTANDING) {
				for (int i = 0; i < 32; i++)
					__builtin_ia32_pause();
				t = now();
				if (*arrived - start != seen)
					seen = *arrived - start, moved = t;
				else if (t - moved > STALLED)
					lost_here = sent - seen;
			}
			waited += t - since;
		}
		if (destinations > 1)
			scatter();
		int n = sendmmsg(fd, batch, BATCH, 0);
		if (n > 0)
			sent += n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sendmmsg");
		t = now();
		if (t - window >= WINDOW) {
			uint64_t count = *arrived;
			double rate = (count - before) / (t - window);
			peak = rate > peak ? rate : peak;
			window = t, before = count;
		}
	}
	*took = t - begin;
	uint64_t in_time = *arrived - start;
	for (double until = t + STALLED; now() < until && *arrived - start < sent - lost_here;)
		__builtin_ia32_pause();
	lost += sent - (*arrived - start);
	return in_time;
}

int main(int argc, char **argv)
{
	uint8_t mac[ETH_ALEN];
	struct iovec pieces[BATCH];
	struct mmsghdr batch[BATCH] = { 0 };
	uint64_t worked[2], all[2];
	double took;
	cpu_set_t cpu0;

	if (argc != 7 && argc != 8)
		errno = EINVAL, die("usage: generator INTERFACE NEXT-HOP-MAC SOURCE DESTINATION SECONDS PINNED-COUNTER [COUNT]");
	CPU_ZERO(&cpu0);
	CPU_SET(0, &cpu0);
	if (sched_setaffinity(0, sizeof cpu0, &cpu0))
		die("sched_setaffinity");
	const volatile uint64_t *arrived = counter(argv[6]);
	int fd = open_socket(argv[1], mac);
	for (int i = 0; i < BATCH; i++) {
		build(frames[i], mac, argv[2], argv[3], argv[4]);
		pieces[i] = (struct iovec){ frames[i], FRAME };
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = &pieces[i], .msg_iovlen = 1 };
	}
	first = ntohl(((struct iphdr *)(frames[0] + sizeof(struct ethhdr)))->daddr);
	if (argc == 8)
		destinations = strtoul(argv[7], NULL, 10);

	run(fd, batch, arrived, WARM_UP, &took);
	lost = 0;
	cpu1(&worked[0], &all[0]);
	uint64_t packets = run(fd, batch, arrived, atof(argv[5]), &took);
	cpu1(&worked[1], &all[1]);
	printf("{\"packets\":%llu,\"seconds\":%.6f,\"peak\":%.0f,\"lost\":%llu,\"waiting\":%.4f,\"busy\":%.4f}\n",
	       (unsigned long long)packets, took, peak, (unsigned long long)lost, waited / took,
	       (double)(worked[1] - worked[0]) / (all[1] - all[0] ?: 1));
	return 0;
}
