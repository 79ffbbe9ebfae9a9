#include "rpc/complaints.h"

#include <grpc/support/log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum { LOG_INTERVAL_MS = 1000, LINE_BYTES = 160 };

/* gRPC's log function gets no ctx. Relaxed: only a limit. */
static _Atomic int64_t next_log_ms;

/* gRPC writes "Handshake failed with fatal error SSL_ERROR_SSL: error:0A000086:SSL routines::certificate
 * verify failed." */
static void log_handshake(const char *text)
{
    int64_t now_ms = clock_now_ms(clock_system());
    int64_t due_ms = atomic_load_explicit(&next_log_ms, memory_order_relaxed);
    if (now_ms < due_ms || !atomic_compare_exchange_strong_explicit(&next_log_ms, &due_ms,
                               now_ms + LOG_INTERVAL_MS, memory_order_relaxed, memory_order_relaxed))
        return;
    const char *reason = strstr(text, "routines::");
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof(line), "%s", reason ? reason + strlen("routines::") : text);
    line[strcspn(line, ".")] = 0;
    log_event(LOG_WARNING, "TLS handshake failed", "error", line, NULL);
}

static void take(gpr_log_func_args *args)
{
    if (args->severity != GPR_LOG_SEVERITY_ERROR)
        return;
    if (strstr(args->message, "ssertion failed"))
        (void)fprintf(stderr, "%s:%d: %s\n", args->file, args->line, args->message);
    else if (strstr(args->message, "andshake failed"))
        log_handshake(args->message);
}

static void take_once(void)
{
    if (!getenv("GRPC_VERBOSITY"))
        gpr_set_log_function(take);
}

void rpc_complaints_take(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, take_once); /* fails only for a bad argument */
}
