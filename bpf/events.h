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
