/* Why a worker process ended, in words for people: from its wait status, the stacks that it left, and what
 * the node did to it. Pure. */
#ifndef HOST_REASON_H
#define HOST_REASON_H

#include <stdbool.h>
#include <stddef.h>

enum { REASON_PLACE_BYTES = 160, REASON_BYTES = 256 };

struct reason_facts {
    bool has_status;       /* waitpid told it */
    int status;            /* as waitpid has it */
    bool is_out_of_memory; /* the kernel counted a kill for memory meanwhile */
    const char *killed;    /* why the node killed it: "timeout", "memory 600 MiB ..."; NULL: it did not */
    const char *trace;     /* what faulthandler, or base/crash.h in C, wrote; "": nothing */
};

/* Where the last stack of a trace was: "bank.py:41 in add", "libbank.so in add+0x1c", the first frame of the
 * thread that matters which is not the SDK's own. False: the trace has none. */
bool reason_place(const char *trace, char *ret_place, size_t size);

/* The last stack of a trace, its heading left out: ends trace there, at most size bytes further. "": it has
 * none. */
char *reason_stack(char *trace, size_t size);

/* "SIGSEGV bank.py:41 in add", "SIGSEGV libbank.so in add+0x1c", "exit code 3", "SIGKILL (out of memory)",
 * "timeout bank.py:41 in add". */
void reason_write(const struct reason_facts *facts, char *ret_reason, size_t size);

#endif
