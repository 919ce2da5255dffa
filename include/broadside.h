/* broadside.h: hand a block to a running broadside through shared memory.
 *
 * Self-contained, C11 or C++11, gcc or clang, Linux. No library is linked: everything is in here.
 * docs/shared-memory.md tells the whole story; examples/handover.c is a program that uses it.
 *
 *     struct broadside_session session;
 *     char why[BROADSIDE_MESSAGE_BYTES];
 *     if (broadside_open("/run/broadside/intake.sock", "", &session, why, sizeof why) != 0) ...
 *     broadside_begin(&session, 0);                  // as soon as you know that a block is coming
 *     broadside_write(&session, piece, length);      // raw bytes, not hex; as often as you like
 *     broadside_ring(&session);                      // complete: it goes out now
 *     if (broadside_wait(&session, 40000, why, sizeof why) == 0)
 *         printf("%s\n", session.memory->word);      // and the rest of the result
 *     broadside_close(&session);
 *
 * One session carries one block at a time, from one thread. Begin the next block once the last one
 * has been answered (or at least taken: `taken_sequence`), or keep a second session. The engine
 * copies each piece once, while you write the next, and hashes, checks and sends that copy alone:
 * bytes that you change after they were counted in `written_bytes` change nothing.
 */
#ifndef BROADSIDE_H
#define BROADSIDE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_POPULATE
#error "include broadside.h before everything else, or compile with -std=gnu11 or -D_GNU_SOURCE"
#endif
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the numbers in the shared memory are little-endian, and this header does not turn them"
#endif

#ifdef __cplusplus
extern "C" {
#define BROADSIDE_ASSERT static_assert
#else
#define BROADSIDE_ASSERT _Static_assert
#endif

/* First bytes of a request on the Unix socket and of each reply, and of the memory. */
#define BROADSIDE_MAGIC "BSM1"
#define BROADSIDE_MEMORY_MAGIC "BSSHARED"
/* Version of this layout. An engine of another one is not talked to. */
#define BROADSIDE_VERSION 1u
/* Bytes in front of the block area, of the block area's room, and of the whole memory. */
#define BROADSIDE_HEADER_BYTES 4096u
#define BROADSIDE_CAPACITY_BYTES 4000000u
#define BROADSIDE_MEMORY_BYTES 4005888u
/* Sizes of the texts of a result. */
#define BROADSIDE_HASH_BYTES 72u
#define BROADSIDE_WORD_BYTES 56u
#define BROADSIDE_MESSAGE_BYTES 256u
/* Length of a reply on the socket, without its text, and its statuses. */
#define BROADSIDE_REPLY_BYTES 16u
#define BROADSIDE_GRANTED 0u
#define BROADSIDE_REFUSED 1u

/* `verdict` of a result. */
#define BROADSIDE_ACCEPTED 1u      /* your node holds it for valid (no node: our checks do) */
#define BROADSIDE_BLOCK_REFUSED 2u /* your node, or our checks, will not have it */
#define BROADSIDE_UNJUDGED 3u      /* no verdict yet, see `message`; your node keeps getting it */
#define BROADSIDE_LOST 4u          /* the hand-over was wrong, see `message`: begin again */

/* The memory: a header, then BROADSIDE_CAPACITY_BYTES of block area. Times are CLOCK_MONOTONIC in
 * ns, 0: did not happen. Use the functions below rather than plain reads and writes: what the other
 * side writes has to be read with acquire, and what it is to see written with release. */
struct broadside_memory {
    /* Written by the engine, once. */
    char magic[8];
    uint32_t version;
    uint32_t header_bytes;
    uint64_t capacity_bytes;
    uint8_t reserved0[40];

    /* Written by the pool. */
    uint32_t sequence;      /* another number than before begins a block; not 0 */
    uint32_t rung_sequence; /* = sequence: the block is complete */
    uint64_t written_bytes; /* bytes of the block that are there; only grows within a block */
    uint64_t total_bytes;   /* the block's length; 0 until known; when rung: = written_bytes */
    uint64_t begun_ns;      /* when you began and when you rang; 0 if you do not want to say */
    uint64_t rung_ns;
    uint8_t reserved1[24];

    /* Written by the engine. */
    uint32_t engine_waits;   /* not 0: the engine sleeps, so poke it */
    uint32_t taken_sequence; /* the engine has its own copy of this block and is sending it */
    uint8_t reserved2[56];

    /* The result, written by the engine; `answered_sequence` last, so read that first. */
    uint32_t answered_sequence;
    uint32_t verdict;
    uint64_t first_byte_ns;
    uint64_t last_byte_ns;
    uint64_t taken_ns;
    uint64_t published_ns; /* the senders were told; 0: it did not go to peers */
    uint64_t answered_ns;
    uint64_t image; /* its number among the blocks that this engine has published */
    uint8_t reserved3[8];
    char hash[BROADSIDE_HASH_BYTES];       /* hex, as people write it */
    char word[BROADSIDE_WORD_BYTES];       /* the verdict in your node's word */
    char message[BROADSIDE_MESSAGE_BYTES]; /* why there is none, or why peers did not get it */
    uint8_t reserved4[3456];
};

BROADSIDE_ASSERT(offsetof(struct broadside_memory, sequence) == 64, "the pool's line");
BROADSIDE_ASSERT(offsetof(struct broadside_memory, engine_waits) == 128, "the engine's line");
BROADSIDE_ASSERT(offsetof(struct broadside_memory, answered_sequence) == 192, "the result");
BROADSIDE_ASSERT(sizeof(struct broadside_memory) == BROADSIDE_HEADER_BYTES, "a page");

/* A session: the pool's side of it. */
struct broadside_session {
    struct broadside_memory *memory;
    uint8_t *block;    /* the block area, `capacity_bytes` of it */
    uint32_t sequence; /* of the block that was begun last */
    int socket;        /* closing it ends the session; nothing is to be sent on it */
    int ring;          /* eventfd: wakes the engine */
    int bell;          /* eventfd, non-blocking: the engine has news */
};

static inline uint64_t broadside_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Gives everything back. What was rung goes on without you; what was not is forgotten. */
static inline void broadside_close(struct broadside_session *session)
{
    if (session->memory != NULL)
        munmap(session->memory, BROADSIDE_MEMORY_BYTES);
    if (session->socket >= 0)
        close(session->socket);
    if (session->ring >= 0)
        close(session->ring);
    if (session->bell >= 0)
        close(session->bell);
    session->memory = NULL;
    session->block = NULL;
    session->socket = session->ring = session->bell = -1;
}

/* Reads exactly `length` bytes; 0, or -1 with errno. */
static inline int broadside_read_all(int from, void *into, size_t length)
{
    size_t got = 0;
    while (got < length) {
        ssize_t count = read(from, (char *)into + got, length - got);
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            errno = ECONNRESET;
        if (count <= 0)
            return -1;
        got += (size_t)count;
    }
    return 0;
}

/* Puts what a reply says, where it is no grant, into `why`. Always -1. */
static inline int broadside_refusal(int from, const uint32_t reply[4], char *why, size_t room)
{
    if (memcmp(reply, BROADSIDE_MAGIC, 4) != 0 || reply[1] != BROADSIDE_VERSION) {
        snprintf(why, room, "the engine is of another version than broadside.h");
    } else {
        size_t length = reply[3] < room ? reply[3] : room - 1;
        if (broadside_read_all(from, why, length) != 0)
            snprintf(why, room, "the engine is gone: %s", strerror(errno));
        else
            why[length] = '\0';
    }
    return -1;
}

/* Takes the reply and its three descriptors; 0, or -1 with `why`. */
static inline int broadside_granted(struct broadside_session *session, int *memory, char *why,
                                    size_t room)
{
    uint32_t reply[4] = {0, 0, 0, 0};
    int descriptors[3] = {-1, -1, -1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof descriptors)];
    } control;
    struct iovec into = {reply, sizeof reply};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t got;
    do {
        got = recvmsg(session->socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof descriptors))
            memcpy(descriptors, CMSG_DATA(header), sizeof descriptors);
    }
    *memory = descriptors[0];
    session->ring = descriptors[1];
    session->bell = descriptors[2];
    if (got <= 0 || broadside_read_all(session->socket, (char *)reply + got,
                                       sizeof reply - (size_t)got) != 0) {
        snprintf(why, room, "the engine did not answer: %s", strerror(got == 0 ? ECONNRESET : errno));
        return -1;
    }
    if (memcmp(reply, BROADSIDE_MAGIC, 4) != 0 || reply[1] != BROADSIDE_VERSION ||
        reply[2] != BROADSIDE_GRANTED)
        return broadside_refusal(session->socket, reply, why, room);
    if (descriptors[0] < 0 || reply[3] != BROADSIDE_MEMORY_BYTES) {
        snprintf(why, room, "the engine gave other memory than broadside.h knows");
        return -1;
    }
    return 0;
}

/* Opens a session with the engine at the Unix socket `path` (`intake.unix` of its configuration)
 * for the chain of that name; "": its first. 0, or -1 with the reason in `why`. */
static inline int broadside_open(const char *path, const char *chain,
                                 struct broadside_session *session, char *why, size_t room)
{
    struct sockaddr_un address;
    unsigned char request[4 + 1 + 255];
    size_t length = strlen(chain);
    int memory = -1, result = -1;
    memset(session, 0, sizeof *session);
    session->ring = session->bell = -1;
    session->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (length > 255 || strlen(path) >= sizeof address.sun_path) {
        snprintf(why, room, "%s: the name is too long", length > 255 ? chain : path);
    } else {
        memcpy(address.sun_path, path, strlen(path));
        memcpy(request, BROADSIDE_MAGIC, 4);
        request[4] = (unsigned char)length;
        memcpy(request + 5, chain, length);
        if (session->socket < 0 ||
            connect(session->socket, (const struct sockaddr *)&address, sizeof address) != 0 ||
            send(session->socket, request, 5 + length, MSG_NOSIGNAL) != (ssize_t)(5 + length))
            snprintf(why, room, "%s: %s; is broadside running, and are we its user?", path,
                     strerror(errno));
        else
            result = broadside_granted(session, &memory, why, room);
    }
    if (result == 0) {
        /* All pages now: a fault in the moment of a block would cost time then. */
        void *at = mmap(NULL, BROADSIDE_MEMORY_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, memory, 0);
        if (at == MAP_FAILED) {
            snprintf(why, room, "cannot map the engine's memory: %s", strerror(errno));
            result = -1;
        } else {
            session->memory = (struct broadside_memory *)at;
            session->block = (uint8_t *)at + BROADSIDE_HEADER_BYTES;
        }
    }
    if (memory >= 0)
        close(memory);
    if (result == 0 && (memcmp(session->memory->magic, BROADSIDE_MEMORY_MAGIC, 8) != 0 ||
                        session->memory->version != BROADSIDE_VERSION)) {
        snprintf(why, room, "the engine's memory is of another version than broadside.h");
        result = -1;
    }
    if (result != 0)
        broadside_close(session);
    return result;
}

/* Wakes the engine where it sleeps; else this is two instructions and no system call. */
static inline void broadside_poke(struct broadside_session *session)
{
    const uint64_t one = 1;
    /* What was written comes before the look at `engine_waits`: one side sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&session->memory->engine_waits, __ATOMIC_RELAXED) != 0) {
        ssize_t ignored = write(session->ring, &one, sizeof one);
        (void)ignored; /* full is as good as rung */
    }
}

/* Begins a block, giving up one that was not rung. `announced`: its length in bytes, 0 if unknown.
 * Begin as early as you like: it wakes the engine, and holds nothing. */
static inline void broadside_begin(struct broadside_session *session, uint64_t announced)
{
    struct broadside_memory *memory = session->memory;
    session->sequence += 1;
    if (session->sequence == 0)
        session->sequence = 1;
    __atomic_store_n(&memory->written_bytes, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&memory->total_bytes, announced, __ATOMIC_RELAXED);
    __atomic_store_n(&memory->begun_ns, broadside_now_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&memory->sequence, session->sequence, __ATOMIC_RELEASE);
    broadside_poke(session);
}

/* Bytes of the current block that are there so far. */
static inline uint64_t broadside_written(const struct broadside_session *session)
{
    return __atomic_load_n(&session->memory->written_bytes, __ATOMIC_RELAXED);
}

/* `length` further bytes stand in the block area, right behind those before: the engine takes them
 * now, and they must not change any more. 0, or -1 where there is no room for so many. */
static inline int broadside_wrote(struct broadside_session *session, uint64_t length)
{
    uint64_t before = broadside_written(session);
    if (length > BROADSIDE_CAPACITY_BYTES - before)
        return -1;
    __atomic_store_n(&session->memory->written_bytes, before + length, __ATOMIC_RELEASE);
    broadside_poke(session);
    return 0;
}

/* Appends a piece of the raw block. 0, or -1 where there is no room for it. Pieces of 64 to 256 KB
 * keep the engine close behind you. */
static inline int broadside_write(struct broadside_session *session, const void *piece,
                                  size_t length)
{
    uint64_t before = broadside_written(session);
    if (length > BROADSIDE_CAPACITY_BYTES - before)
        return -1;
    memcpy(session->block + before, piece, length);
    return broadside_wrote(session, length);
}

/* The block is complete: it goes out. */
static inline void broadside_ring(struct broadside_session *session)
{
    struct broadside_memory *memory = session->memory;
    __atomic_store_n(&memory->total_bytes, broadside_written(session), __ATOMIC_RELAXED);
    __atomic_store_n(&memory->rung_ns, broadside_now_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&memory->rung_sequence, session->sequence, __ATOMIC_RELEASE);
    broadside_poke(session);
}

/* Whether the result in the memory is that of the current block. */
static inline int broadside_answered(const struct broadside_session *session)
{
    return __atomic_load_n(&session->memory->answered_sequence, __ATOMIC_ACQUIRE) ==
           session->sequence;
}

/* Whether the engine has its own copy of the current block, so that the next one may begin. */
static inline int broadside_taken(const struct broadside_session *session)
{
    return __atomic_load_n(&session->memory->taken_sequence, __ATOMIC_ACQUIRE) ==
           session->sequence;
}

/* Waits for the current block's result for at most `patience_ms` (the engine gives up on a silent
 * node after 30 s). 0: it is in the memory. -1: `why` says so; where the time ran out the session
 * goes on and may be waited for again, where the engine ended it (it stops) close it. */
static inline int broadside_wait(struct broadside_session *session, int patience_ms, char *why,
                                 size_t room)
{
    const uint64_t until_ns = broadside_now_ns() + (uint64_t)patience_ms * 1000000u;
    int ended = 0;
    for (;;) {
        uint64_t rings;
        ssize_t ignored = read(session->bell, &rings, sizeof rings);
        (void)ignored; /* the bell is silenced before the look, so no ring is missed */
        if (broadside_answered(session))
            return 0;
        if (ended) {
            uint32_t reply[4];
            if (broadside_read_all(session->socket, reply, sizeof reply) == 0)
                return broadside_refusal(session->socket, reply, why, room);
            snprintf(why, room, "the engine is gone: %s", strerror(errno));
            return -1;
        }
        const uint64_t now_ns = broadside_now_ns();
        if (now_ns >= until_ns) {
            snprintf(why, room, "no answer within %d ms", patience_ms);
            return -1;
        }
        struct pollfd watched[2] = {{session->bell, POLLIN, 0}, {session->socket, POLLIN, 0}};
        poll(watched, 2, (int)((until_ns - now_ns) / 1000000u) + 1);
        ended = watched[1].revents != 0; /* one more look: the result may have come just before */
    }
}

#ifdef __cplusplus
}
#endif

#endif
