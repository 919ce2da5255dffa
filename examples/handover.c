/* Hands one block to a running broadside through shared memory, and prints the verdict and times.
 *
 *     cc -O2 -Iinclude -o handover examples/handover.c
 *     ./handover SOCKET FILE [CHAIN]
 *
 * FILE holds the raw block; - is standard input. Exit: 0 accepted, 1 refused, 2 not judged.
 */
#include "broadside.h"

#include <stdlib.h>

/* A pool has its pieces from its template; we have them from a file. */
enum { PIECE_BYTES = 128 * 1024 };

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 2;
}

static void print_time(const char *stage, uint64_t stage_ns, uint64_t rung_ns)
{
    if (stage_ns == 0)
        printf("%-10s -\n", stage);
    else
        printf("%-10s %+.1f us from the ring\n", stage,
               (double)((int64_t)stage_ns - (int64_t)rung_ns) / 1000.0);
}

int main(int count, char **arguments)
{
    struct broadside_session session;
    static unsigned char piece[PIECE_BYTES];
    char why[BROADSIDE_MESSAGE_BYTES];

    if (count < 3 || count > 4)
        return fail("usage", "handover SOCKET FILE [CHAIN]");
    FILE *file = strcmp(arguments[2], "-") == 0 ? stdin : fopen(arguments[2], "rb");
    if (file == NULL)
        return fail(arguments[2], strerror(errno));
    if (broadside_open(arguments[1], count == 4 ? arguments[3] : "", &session, why, sizeof why) != 0)
        return fail("open", why);

    broadside_begin(&session, 0);
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, file)) > 0)
        if (broadside_write(&session, piece, length) != 0)
            return fail(arguments[2], "is longer than any block");
    if (ferror(file))
        return fail(arguments[2], "cannot be read"); /* not rung: the engine forgets it */
    broadside_ring(&session);

    if (broadside_wait(&session, 60000, why, sizeof why) != 0)
        return fail("no verdict", why);
    const struct broadside_memory *result = session.memory;
    printf("block      %s\n", result->hash);
    printf("verdict    %u %s\n", result->verdict, result->word);
    if (result->message[0] != '\0')
        printf("message    %s\n", result->message);
    print_time("begun", result->begun_ns, result->rung_ns);
    print_time("taken", result->taken_ns, result->rung_ns);
    print_time("published", result->published_ns, result->rung_ns);
    print_time("answered", result->answered_ns, result->rung_ns);
    const uint32_t verdict = result->verdict;
    broadside_close(&session);
    return verdict == BROADSIDE_ACCEPTED ? 0 : verdict == BROADSIDE_BLOCK_REFUSED ? 1 : 2;
}
