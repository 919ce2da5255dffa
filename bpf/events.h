/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the programs and src/sys/bpf/ tell each other, byte for byte. Little or big endian as the machine;
 * no padding but the one that is named. Changes here go with the readers there.
 */
#pragma once

#include "kernel.h"

/* Moments of a send, in the order in which they come. */
enum moment {
	MOMENT_GIVEN = 0,
	MOMENT_QUEUED = 1,
	MOMENT_WIRE = 2,
	MOMENT_ACKNOWLEDGED = 3,
};

/* One moment of one send. */
struct delivery {
	__u64 at_ns; /* CLOCK_MONOTONIC */
	__u64 cookie; /* SO_COOKIE of the connection */
	__u32 last_byte; /* TCP sequence number */
	__u32 moment;
};

_Static_assert(sizeof(struct delivery) == 24, "src/sys/bpf/delivery.rs reads 24 bytes");

/* What tcp_delivery is told before it is attached, and what it counts. */
struct delivery_state {
	__u64 lost; /* moments that found no room */
	__u32 process; /* whose connections: tgid, as the kernel numbers all processes */
	__u32 window_packets; /* first congestion window; 0: the kernel's own */
};

_Static_assert(sizeof(struct delivery_state) == 16, "src/sys/bpf/delivery.rs writes 16 bytes");

/* Who can run on a core. Those from SOURCE_LOCAL_TIMER on are the processor's own interrupts. */
enum source {
	SOURCE_TASK = 0,
	SOURCE_DEVICE = 1,
	SOURCE_SOFT = 2,
	SOURCE_LOCAL_TIMER = 3,
	SOURCE_RESCHEDULE = 4,
	SOURCE_CALL_FUNCTION = 5,
	SOURCE_CALL_FUNCTION_SINGLE = 6,
	SOURCE_IRQ_WORK = 7,
	SOURCE_PLATFORM = 8,
	SOURCE_THERMAL = 9,
	SOURCE_THRESHOLD = 10,
	SOURCE_DEFERRED_ERROR = 11,
	SOURCE_ERROR = 12,
	SOURCE_SPURIOUS = 13,
};

enum {
	NAME_BYTES = 16,
	CORES_MAX = 1024,
	/* Depth of what interrupts each other on a core, a power of two; kernels come to four or five. */
	FRAMES_MAX = 8,
};

/* Something that ran on a watched core and is not ours. */
struct stolen {
	__u64 start_ns; /* CLOCK_MONOTONIC */
	__u64 took_ns; /* without what interrupted it, which is told of itself */
	__u32 core;
	__u32 number; /* thread, interrupt, vector */
	__u32 source;
	__u32 held_us_up; /* one of our threads ran or was ready on that core */
	char name[NAME_BYTES]; /* of tasks and devices; empty otherwise */
};

_Static_assert(sizeof(struct stolen) == 48, "src/sys/bpf/cores.rs reads 48 bytes");

/* What core_jitter is told before it is attached, and what it counts. */
struct cores_state {
	__u64 lost; /* events that found no room, and switches that the kernel did not tell of */
	__u32 level; /* depth of the loader's namespace of processes; 0: the host's own */
	__u32 namespace; /* its number */
	__u64 watched[CORES_MAX / 64]; /* one bit per core */
};

_Static_assert(sizeof(struct cores_state) == 144, "src/sys/bpf/cores.rs writes 144 bytes");
