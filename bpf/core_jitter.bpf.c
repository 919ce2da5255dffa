/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Who else runs on the cores that our threads are pinned to: other tasks, interrupts of devices and of the
 * processor, softirqs, each with its time.
 *
 * Per core there is a short stack of what runs there and is not ours: at the bottom at most one task, above
 * it what interrupted it, and what interrupted that. Where one ends, its own time is told, and all of its
 * time is taken off the one below. A switch of tasks starts a new stack, so that nothing that was missed
 * (an entry from before we were attached, a handler that never returns) lasts.
 */
#include "events.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct frame {
	__u64 start_ns;
	__u64 nested_ns;
	__u32 source;
	__u32 number;
	__u32 held_us_up;
	char name[NAME_BYTES];
};

struct core {
	struct task_struct *task; /* switched to last; 0: not known yet */
	__u32 depth;
	__u32 ready; /* a thread of ours waits for the core; also set by other cores */
	struct frame frames[FRAMES_MAX];
};

/* Events on their way out; the loader sets the size. Nobody is woken: they are fetched now and then. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

/* One stack per core; the loader sets how many. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct core);
} cores SEC(".maps");

/* Our threads, by their ids as the loader's namespace has them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8);
} threads SEC(".maps");

struct cores_state state SEC(".data.state");

static struct core *watched(__u32 number)
{
	if (number >= CORES_MAX || !(state.watched[number / 64] >> (number % 64) & 1))
		return 0;
	return bpf_map_lookup_elem(&cores, &number);
}

/* Where a task's number in the namespace of this depth is. */
static struct upid *number_at(struct pid *pid, __u32 level)
{
	/* The bound is the kernel's (MAX_PID_NS_LEVEL); the verifier asks for one. */
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       (level & 31) * bpf_core_type_size(struct upid);
}

/* The task's id as the loader's namespace has it; 0: it is not in there. */
static __u32 number_of(struct task_struct *task)
{
	struct upid *own;
	struct pid *pid;

	if (!state.level)
		return task->pid;
	pid = task->thread_pid;
	if (!pid || pid->level < state.level)
		return 0;
	own = number_at(pid, state.level);
	if (BPF_CORE_READ(own, ns, ns.inum) != state.namespace)
		return 0;
	return BPF_CORE_READ(own, nr);
}

static int is_ours(struct task_struct *task)
{
	__u32 number = number_of(task);

	return number && bpf_map_lookup_elem(&threads, &number);
}

/* Masked for the verifier, which must see that it is inside; the callers have looked. */
static struct frame *frame_at(struct core *core, __u64 at)
{
	barrier_var(at);
	return &core->frames[at & (FRAMES_MAX - 1)];
}

/* The new top of the stack, or nothing where it is full. */
static struct frame *push(struct core *core, __u64 now, __u32 source, __u32 number)
{
	__u32 at = core->depth;
	struct frame *frame;

	if (at >= FRAMES_MAX)
		return 0;
	/* First, so that what interrupts this very program goes on top. */
	*(volatile __u32 *)&core->depth = at + 1;
	frame = frame_at(core, at);
	frame->start_ns = now;
	frame->nested_ns = 0;
	frame->source = source;
	frame->number = number;
	__builtin_memset(frame->name, 0, NAME_BYTES);
	return frame;
}

/* Tells of the top of the stack, which ends now. */
static void pop(struct core *core, __u32 at, __u64 now)
{
	__u64 whole, nested;
	struct stolen *event;
	struct frame *frame;

	frame = frame_at(core, at);
	whole = now - frame->start_ns;
	nested = frame->nested_ns;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->start_ns = frame->start_ns;
		event->took_ns = whole > nested ? whole - nested : 0;
		event->core = bpf_get_smp_processor_id();
		event->number = frame->number;
		event->source = frame->source;
		event->held_us_up = frame->held_us_up | core->ready;
		__builtin_memcpy(event->name, frame->name, NAME_BYTES);
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	} else {
		__sync_fetch_and_add(&state.lost, 1);
	}
	*(volatile __u32 *)&core->depth = at;
	if (at > 0)
		frame_at(core, at - 1)->nested_ns += whole;
}

static int enter(__u32 source, __u32 number, struct irqaction *handler)
{
	struct core *core = watched(bpf_get_smp_processor_id());
	struct frame *frame;

	if (!core)
		return 0;
	frame = push(core, bpf_ktime_get_ns(), source, number);
	if (!frame)
		return 0;
	frame->held_us_up = core->ready || is_ours(bpf_get_current_task_btf());
	if (handler)
		bpf_probe_read_kernel_str(frame->name, NAME_BYTES, handler->name);
	return 0;
}

static int leave(__u32 source, __u32 number)
{
	struct core *core = watched(bpf_get_smp_processor_id());
	struct frame *frame;
	__u32 at;

	if (!core || !core->depth)
		return 0;
	at = core->depth - 1;
	frame = frame_at(core, at);
	if (frame->source == source && frame->number == number)
		pop(core, at, bpf_ktime_get_ns());
	else
		/* An entry was missed: down to the task, if there is one. */
		core->depth = core->frames[0].source == SOURCE_TASK;
	return 0;
}

/* (bool preempt, struct task_struct *prev, struct task_struct *next, ...) */
SEC("tp_btf/sched_switch")
int switched(__u64 *args)
{
	struct core *core = watched(bpf_get_smp_processor_id());
	struct task_struct *prev = (void *)args[1], *next = (void *)args[2];
	struct frame *frame;
	__u64 now;

	if (!core)
		return 0;
	now = bpf_ktime_get_ns();
	if (core->task && core->task != prev)
		/* A switch was not told, so nobody knows who ran since. */
		__sync_fetch_and_add(&state.lost, 1);
	else if (core->depth && core->frames[0].source == SOURCE_TASK)
		pop(core, 0, now);
	core->task = next;
	core->depth = 0;
	if (is_ours(prev))
		core->ready = args[0] || !prev->__state;
	if (is_ours(next)) {
		core->ready = 0;
	} else if (next->pid) {
		frame = push(core, now, SOURCE_TASK, next->pid);
		if (frame) {
			frame->held_us_up = core->ready;
			__builtin_memcpy(frame->name, next->comm, NAME_BYTES);
		}
	}
	return 0;
}

/* (struct task_struct *task), on whichever core wakes it */
SEC("tp_btf/sched_wakeup")
int woken(__u64 *args)
{
	struct task_struct *task = (void *)args[0];
	struct core *core = watched(task->wake_cpu);

	if (core && is_ours(task))
		core->ready = 1;
	return 0;
}

/* (int number, struct irqaction *handler, ...) */
SEC("tp_btf/irq_handler_entry")
int device_enters(__u64 *args)
{
	return enter(SOURCE_DEVICE, args[0], (void *)args[1]);
}

SEC("tp_btf/irq_handler_exit")
int device_leaves(__u64 *args)
{
	return leave(SOURCE_DEVICE, args[0]);
}

/* (unsigned int vector) */
SEC("tp_btf/softirq_entry")
int soft_enters(__u64 *args)
{
	return enter(SOURCE_SOFT, args[0], 0);
}

SEC("tp_btf/softirq_exit")
int soft_leaves(__u64 *args)
{
	return leave(SOURCE_SOFT, args[0]);
}

/* The processor's own interrupts (x86), each with two tracepoints: (int vector). */
#define VECTOR(NAME, SOURCE)                  \
	SEC("tp_btf/" #NAME "_entry")         \
	int NAME##_enters(__u64 *args)        \
	{                                     \
		return enter(SOURCE, args[0], 0); \
	}                                     \
	SEC("tp_btf/" #NAME "_exit")          \
	int NAME##_leaves(__u64 *args)        \
	{                                     \
		return leave(SOURCE, args[0]);    \
	}

VECTOR(local_timer, SOURCE_LOCAL_TIMER)
VECTOR(reschedule, SOURCE_RESCHEDULE)
VECTOR(call_function, SOURCE_CALL_FUNCTION)
VECTOR(call_function_single, SOURCE_CALL_FUNCTION_SINGLE)
VECTOR(irq_work, SOURCE_IRQ_WORK)
VECTOR(x86_platform_ipi, SOURCE_PLATFORM)
VECTOR(thermal_apic, SOURCE_THERMAL)
VECTOR(threshold_apic, SOURCE_THRESHOLD)
VECTOR(deferred_error_apic, SOURCE_DEFERRED_ERROR)
VECTOR(error_apic, SOURCE_ERROR)
VECTOR(spurious_apic, SOURCE_SPURIOUS)

/* Run once by the loader: which namespace of processes it is in. */
SEC("syscall")
int who_loads(void *none __attribute__((unused)))
{
	struct pid *pid = bpf_get_current_task_btf()->thread_pid;
	struct upid *own;
	__u32 level;

	if (!pid)
		return 0;
	level = pid->level;
	own = number_at(pid, level);
	state.namespace = BPF_CORE_READ(own, ns, ns.inum);
	state.level = level;
	return 0;
}

char terms[] SEC("license") = "Dual MIT/GPL";
