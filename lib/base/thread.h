/* Named threads. A new one needs a line in ARCHITECTURE.md first. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

struct thread;
struct err;

/* Starts a thread that runs function(ctx), with an alternate signal stack. name is shown by ps and gdb, cut
 * to 15 bytes. All signals are blocked in the new thread (main reads them through signalfd), except those
 * that a fault raises. *ret_thread is released by thread_join, exactly once. Fails with ERR_BUSY or
 * ERR_SYSTEM when the system gives no thread. */
int thread_start(
    struct thread **ret_thread, const char *name, void (*function)(void *ctx), void *ctx, struct err *err);

/* Waits until the thread has returned and frees it; accepts NULL. */
void thread_join(struct thread *thread);

#endif
