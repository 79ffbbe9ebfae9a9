#include "base/thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

struct thread {
    pthread_t handle;
    char name[16]; /* what the kernel keeps */
    void (*function)(void *ctx);
    void *ctx;
};

/* Room for a handler of SIGSEGV with a backtrace, when the thread's own stack is used up. */
enum { SIGNAL_STACK_BYTES = 64 * 1024 };

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    stack_t before;
    stack_t ours = {.ss_sp = xmalloc(SIGNAL_STACK_BYTES), .ss_size = SIGNAL_STACK_BYTES};
    (void)pthread_setname_np(pthread_self(), thread->name); /* only a help for people */
    (void)sigaltstack(&ours, &before); /* cannot fail for a stack of this size that is not in use */
    thread->function(thread->ctx);
    (void)sigaltstack(&before, NULL); /* a sanitizer may have its own there */
    free(ours.ss_sp);
    return NULL;
}

/* Everything but what the thread's own instructions raise. */
static void outside_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
    (void)sigfillset(set);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        (void)sigdelset(set, faults[i]); /* cannot fail for valid numbers */
}

int thread_start(
    struct thread **ret_thread, const char *name, void (*function)(void *ctx), void *ctx, struct err *err)
{
    struct thread *thread = xcalloc(1, sizeof(*thread));
    (void)snprintf(thread->name, sizeof(thread->name), "%s", name); /* cut on purpose */
    thread->function = function;
    thread->ctx = ctx;

    sigset_t blocked;
    sigset_t before;
    outside_signals(&blocked);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before); /* inherited by the new thread; cannot fail */
    int failed = pthread_create(&thread->handle, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(thread);
        return err_set_errno(err, failed, "start thread \"%s\"", name);
    }
    *ret_thread = thread;
    return 0;
}

void thread_join(struct thread *thread)
{
    if (!thread)
        return;
    int failed = pthread_join(thread->handle, NULL);
    assert(!failed);
    (void)failed; /* fails only when a thread joins itself */
    free(thread);
}
