// SPDX-License-Identifier: Apache-2.0
// Frames of the small-packet programs, and what they need of the kernel: the sink's counter and packet sockets.
#pragma once
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

static int pinned(const char *path)
{
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
	int fd = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr);
	if (fd < 0)
		die(path);
	return fd;
}

static const volatile uint64_t *counter(const char *path)
{
	void *page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, pinned(path), 0);
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
