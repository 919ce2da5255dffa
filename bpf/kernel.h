/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What these programs look at in the kernel: of each structure the fields that they read, and no more. The
 * loader moves every access to where the running kernel has the field (BPF CO-RE), so that one build runs
 * on kernels of any layout. Names and values are the kernel's (include/uapi/linux/bpf.h and others).
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_F_NO_PREALLOC = 1 << 0,
	BPF_SK_STORAGE_GET_F_CREATE = 1 << 0,
	BPF_RB_NO_WAKEUP = 1 << 0,
};

/* Calls of a sockops program that are of interest here. */
enum {
	BPF_SOCK_OPS_TCP_CONNECT_CB = 3,
	BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB = 4,
	BPF_SOCK_OPS_TSTAMP_SCHED_CB = 16,
	BPF_SOCK_OPS_TSTAMP_SND_SW_CB = 17,
	BPF_SOCK_OPS_TSTAMP_SND_HW_CB = 18,
	BPF_SOCK_OPS_TSTAMP_ACK_CB = 19,
	BPF_SOCK_OPS_TSTAMP_SENDMSG_CB = 20,
};

/* bpf_setsockopt: levels, names, values. */
enum {
	SOL_SOCKET = 1,
	SOL_TCP = 6,
	TCP_BPF_IW = 1001,
	SK_BPF_CB_FLAGS = 1009,
	SK_BPF_CB_TX_TIMESTAMPING = 1 << 0,
};

struct bpf_sock;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* The argument of sockops programs. */
struct bpf_sock_ops {
	__u32 op;
	__u32 snd_cwnd;
	struct bpf_sock *sk;
};

/* The same as the kernel has it. */
struct bpf_sock_ops_kern {
	struct sk_buff *skb;
};

struct sk_buff {
	unsigned char *head;
	__u32 end;
};

struct skb_shared_info {
	__u32 tskey;
};

struct task_struct {
	unsigned int __state; /* 0: running or ready to run */
	int wake_cpu; /* where it runs, or will */
	int pid;
	int tgid;
	struct pid *thread_pid;
	char comm[16];
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	unsigned int level; /* 0: the host's own */
	struct ns_common ns;
};

/* A task's number in one namespace. */
struct upid {
	int nr;
	struct pid_namespace *ns;
};

/* Its numbers in all namespaces that it is in, the host's first. */
struct pid {
	unsigned int level;
	struct upid numbers[1];
};

/* What handles a device's interrupt. */
struct irqaction {
	const char *name;
};

#pragma clang attribute pop
