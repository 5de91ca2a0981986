// SPDX-License-Identifier: Apache-2.0
// TCP request/response: one connection, 14 bytes there and 14 bytes back, one at a time; the full round trip is timed.
//
// usage: pingpong serve ADDRESS PORT         answers connections one after the other, for ever
//        pingpong measure ADDRESS PORT SECONDS   prints one JSON object: count, p50, p99 (microseconds)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 14, SAMPLES = 1 << 20 };

static void die(const char *what)
{
	fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

// False at the end of the connection.
static int receive(int fd, char *message)
{
	return recv(fd, message, MESSAGE, MSG_WAITALL) == MESSAGE;
}

static void no_delay(int fd)
{
	int one = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
		die("TCP_NODELAY");
}

static void serve(int fd, const struct sockaddr_in *at)
{
	char message[MESSAGE];
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)at, sizeof *at) || listen(fd, 4))
		die("listen");
	for (;;) {
		int peer = accept(fd, NULL, NULL);
		if (peer < 0)
			die("accept");
		no_delay(peer);
		while (receive(peer, message) && send(peer, message, MESSAGE, MSG_NOSIGNAL) == MESSAGE)
			;
		close(peer);
	}
}

static void measure(int fd, const struct sockaddr_in *to, double seconds)
{
	static uint32_t took[SAMPLES];
	char message[MESSAGE] = { 0 };
	size_t n = 0;
	if (connect(fd, (const struct sockaddr *)to, sizeof *to))
		die("connect");
	no_delay(fd);
	for (uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), t = start; t < end && n < SAMPLES;) {
		if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE || !receive(fd, message))
			die("round trip");
		uint64_t back = now_ns();
		took[n++] = back - t;
		t = back;
	}
	if (!n)
		errno = ENODATA, die("no sample");
	qsort(took, n, sizeof took[0], ascending);
	printf("{\"count\":%zu,\"p50\":%.2f,\"p99\":%.2f}\n", n, took[n / 2] / 1e3, took[n * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int serving = argc == 4 && !strcmp(argv[1], "serve");
	if ((!serving && (argc != 5 || strcmp(argv[1], "measure"))) || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		errno = EINVAL, die("usage: pingpong serve ADDRESS PORT | pingpong measure ADDRESS PORT SECONDS");
	address.sin_port = htons(atoi(argv[3]));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	if (serving)
		serve(fd, &address);
	else
		measure(fd, &address, atof(argv[4]));
	return 0;
}
