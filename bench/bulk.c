// SPDX-License-Identifier: Apache-2.0
// TCP bulk: one stream per path from CPU 0 to CPU 1, both ends of all paths held by this program. Buffers are fixed, so that
// no path is ahead because the kernel's tuning of its window went another way.
//
// usage: bulk CONGESTION-CONTROL SLICE-SECONDS ROTATIONS PATH...
// PATH: SOURCE-NETNS-FILE,SINK-NETNS-FILE,DESTINATION,PORT. In a rotation every path has one slice.
// prints one JSON array with an array for each path: bits per second that the receiver read, one value a rotation.
#include "slices.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { MAX_PATHS = 16, WRITE = 128 << 10, BUFFER = 1 << 20 };
static const double WARM_UP = 0.6; // of a slice, before it counts: the window opens again after its rest
static const double STALLED = 5; // seconds without a byte after which the path counts as broken

struct path {
	int fd;
	uint64_t sent;
	double *rate;
};

static struct path paths[MAX_PATHS];
static volatile uint64_t *received; // one for each path, shared with its receiver
static char data[WRITE];

static int tcp_socket(const char *netns, int size_option)
{
	int size = BUFFER;
	enter(netns);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, size_option, &size, sizeof size))
		die("socket");
	return fd;
}

static void receive(int fd, volatile uint64_t *count)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(1);
	for (ssize_t n; (n = recv(fd, data, sizeof data, 0)) > 0;)
		*count += n;
	exit(0);
}

static void open_path(struct path *p, char *text, const char *congestion, int rotations, volatile uint64_t *count)
{
	char *field[4];
	int one = 1;
	if (fields(text, field, 4) != 4)
		errno = EINVAL, die("PATH");
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(field[3])) };
	if (inet_pton(AF_INET, field[2], &to.sin_addr) != 1)
		errno = EINVAL, die("address");
	int listener = tcp_socket(field[1], SO_RCVBUFFORCE);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&to, sizeof to) || listen(listener, 1))
		die("listen");
	p->fd = tcp_socket(field[0], SO_SNDBUFFORCE);
	if (setsockopt(p->fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)))
		die(congestion);
	if (connect(p->fd, (struct sockaddr *)&to, sizeof to))
		die("connect");
	int peer = accept(listener, NULL, NULL);
	if (peer < 0)
		die("accept");
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		receive(peer, count);
	close(peer);
	close(listener);
	p->rate = calloc(rotations, sizeof *p->rate);
	if (!p->rate)
		die("memory");
}

static double send_until(struct path *p, double end)
{
	double t;
	do {
		ssize_t n = send(p->fd, data, sizeof data, MSG_NOSIGNAL);
		if (n < 0)
			die("send");
		p->sent += n;
		t = now();
	} while (t < end);
	return t;
}

// What is still on the way must not run into the next path's slice.
static void drain(struct path *p, volatile uint64_t *count)
{
	double moved = now();
	for (uint64_t seen = *count; *count < p->sent;) {
		usleep(200);
		if (*count != seen)
			seen = *count, moved = now();
		else if (now() - moved > STALLED)
			errno = ETIMEDOUT, die("a path carries nothing");
	}
}

static double slice(struct path *p, double seconds, volatile uint64_t *count)
{
	double begin = send_until(p, now() + seconds * WARM_UP);
	uint64_t before = *count;
	double end = send_until(p, begin + seconds);
	uint64_t bytes = *count - before;
	drain(p, count);
	return bytes * 8 / (end - begin);
}

int main(int argc, char **argv)
{
	int count = argc - 4, rotations = argc > 3 ? atoi(argv[3]) : 0;
	double seconds = argc > 2 ? atof(argv[2]) : 0;

	if (count < 1 || count > MAX_PATHS || rotations < 1 || seconds <= 0)
		errno = EINVAL, die("usage: bulk CONGESTION-CONTROL SLICE-SECONDS ROTATIONS PATH...");
	received = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (received == MAP_FAILED)
		die("memory");
	for (int i = 0; i < count; i++)
		open_path(&paths[i], argv[4 + i], argv[1], rotations, &received[i]);
	run_on(0);

	for (int rotation = 0; rotation < rotations; rotation++)
		for (int turn = 0; turn < count; turn++) {
			int i = whose(rotation, turn, count);
			paths[i].rate[rotation] = slice(&paths[i], seconds, &received[i]);
		}

	for (int i = 0; i < count; i++) {
		printf("%s[", i ? "," : "[");
		for (int r = 0; r < rotations; r++)
			printf("%s%.0f", r ? "," : "", paths[i].rate[r]);
		printf("]");
	}
	printf("]\n");
	return 0;
}
