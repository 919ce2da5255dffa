/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Of each connection that one process makes: the first congestion window, and when the last byte of every
 * send was given to the socket, handed to the device's queue, handed to its driver, and acknowledged.
 *
 * A sockops program on the process's control group. The process itself is seen only where it calls
 * connect(2): everything later runs in whoever's turn it is, so the connection is marked there.
 * The kernel stamps the packet with a send's last byte alone (BPF_SOCK_OPS_TSTAMP_*, Linux 6.15), and moves
 * the stamp along when it splits packets. Older kernels load tcp_window, which sets the window only.
 */
#include "events.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Moments on their way out; the loader sets the size. Nobody is woken: they are fetched now and then. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} moments SEC(".maps");

/* Connections of our process. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u8);
} connections SEC(".maps");

struct delivery_state state SEC(".data.state");

extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;
extern int bpf_sock_ops_enable_tx_tstamp(struct bpf_sock_ops_kern *call, __u64 flags) __ksym __weak;

static int ours(struct bpf_sock_ops *call)
{
	struct bpf_sock *socket = call->sk;

	return socket && bpf_sk_storage_get(&connections, socket, 0, 0);
}

static void mark(struct bpf_sock_ops *call)
{
	struct bpf_sock *socket = call->sk;
	struct task_struct *task = bpf_get_current_task_btf();

	if (socket && (__u32)task->tgid == state.process)
		bpf_sk_storage_get(&connections, socket, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

static void open_window(struct bpf_sock_ops *call)
{
	int packets = state.window_packets;

	/* A window of one means that the first packet was lost: RFC 5681 wants a careful start then. */
	if (packets && call->snd_cwnd > 1)
		bpf_setsockopt(call, SOL_TCP, TCP_BPF_IW, &packets, sizeof(packets));
}

/* Sequence number of the last byte of the send that the call is about. */
static __u32 last_byte(struct bpf_sock_ops_kern *call)
{
	struct sk_buff *packet = call->skb;
	struct skb_shared_info *shared;

	shared = bpf_rdonly_cast(packet->head + packet->end, bpf_core_type_id_kernel(struct skb_shared_info));
	return shared->tskey;
}

static void tell(struct bpf_sock_ops *call, enum moment moment)
{
	struct bpf_sock_ops_kern *inner = bpf_cast_to_kern_ctx(call);
	struct delivery *event;

	if (!ours(call))
		return;
	/* Sets the sequence number: before it is read. */
	if (moment == MOMENT_GIVEN && bpf_sock_ops_enable_tx_tstamp(inner, 0))
		return;
	event = bpf_ringbuf_reserve(&moments, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&state.lost, 1);
		return;
	}
	event->at_ns = bpf_ktime_get_ns();
	event->cookie = bpf_get_socket_cookie(call);
	event->last_byte = last_byte(inner);
	event->moment = moment;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

SEC("sockops")
int tcp_delivery(struct bpf_sock_ops *call)
{
	int stamps = SK_BPF_CB_TX_TIMESTAMPING;

	switch (call->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		mark(call);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (!ours(call))
			break;
		open_window(call);
		bpf_setsockopt(call, SOL_SOCKET, SK_BPF_CB_FLAGS, &stamps, sizeof(stamps));
		break;
	case BPF_SOCK_OPS_TSTAMP_SENDMSG_CB:
		tell(call, MOMENT_GIVEN);
		break;
	case BPF_SOCK_OPS_TSTAMP_SCHED_CB:
		tell(call, MOMENT_QUEUED);
		break;
	case BPF_SOCK_OPS_TSTAMP_SND_SW_CB:
		tell(call, MOMENT_WIRE);
		break;
	case BPF_SOCK_OPS_TSTAMP_ACK_CB:
		tell(call, MOMENT_ACKNOWLEDGED);
		break;
	}
	return 1;
}

SEC("sockops")
int tcp_window(struct bpf_sock_ops *call)
{
	switch (call->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		mark(call);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (ours(call))
			open_window(call);
		break;
	}
	return 1;
}

/* Run once by the loader: which process it is, whatever its own namespace calls it. */
SEC("syscall")
int who_loads(void *none __attribute__((unused)))
{
	struct task_struct *task = bpf_get_current_task_btf();

	state.process = task->tgid;
	return 0;
}

char terms[] SEC("license") = "Dual MIT/GPL";
