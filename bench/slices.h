// SPDX-License-Identifier: Apache-2.0
// What the traffic programs share. Each holds sockets in every path's network namespace at once and gives the paths short
// slices of time in turn, so that a disturbance of the machine meets all of them and a ratio is taken between neighbours.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void run_on(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		die("sched_setaffinity");
}

// Sockets that are opened from now on belong to this network namespace.
static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
	close(fd);
}

// Splits `text` at its commas, in place; returns how many fields there are.
static int fields(char *text, char **field, int most)
{
	int n = 0;
	for (char *at = text; at && n < most;)
		field[n++] = strsep(&at, ",");
	return n;
}

// Who has the `turn`th slice of a rotation: there and back again, and everyone is first in turn.
static int whose(int rotation, int turn, int paths)
{
	int place = (turn + rotation / 2) % paths;
	return rotation % 2 ? paths - 1 - place : place;
}
