#include "base/crash.h"

#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    CRASH_FRAMES_MAX = 48,
    CRASH_UNIT_BYTES = 128,
    CRASH_ACTOR_BYTES = 256,
    CRASH_TYPE_BYTES = 128,
    CRASH_HEAD_BYTES = 1024,
    CRASH_STACK_BYTES = 64 * 1024,
};

/* A signal handler has no ctx: these are the one exception to "no globals". Written before any thread starts.
 * The stack is the main thread's; base/thread.h gives each other thread its own. */
static char crash_stack[CRASH_STACK_BYTES];
static int crash_fd = -1;
static crash_executing crash_executing_function;
static void (*crash_last_words)(void);
static atomic_flag crash_taken = ATOMIC_FLAG_INIT;

/* A text that is built without anything that a signal handler must not call. */
struct head {
    char text[CRASH_HEAD_BYTES];
    size_t size;
};

static void head_add(struct head *head, const char *text)
{
    while (*text && head->size < sizeof(head->text))
        head->text[head->size++] = *text++;
}

static void head_add_line(struct head *head, const char *key, const char *value)
{
    head_add(head, key);
    head_add(head, " ");
    head_add(head, value);
    head_add(head, "\n");
}

static const char *format_number(uint64_t number, unsigned base, char *end)
{
    *--end = 0;
    do {
        *--end = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    return end;
}

/* Where the thread was when the signal came; NULL on machines that we do not know. */
static const void *interrupted_at(const void *context)
{
#if defined(__x86_64__)
    return (const void *)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const void *)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

/* The frames from the interrupted one on, without those of the handler itself. */
static int take_frames(const void *context, void **frames)
{
    int count = backtrace(frames, CRASH_FRAMES_MAX);
    const void *at = interrupted_at(context);
    for (int i = 0; i < count; i++)
        if (frames[i] == at) {
            memmove(frames, frames + i, (size_t)(count - i) * sizeof(*frames));
            return count - i;
        }
    return count;
}

static void write_record(int signal_number, const siginfo_t *info, const void *context)
{
    struct head head = {.size = 0};
    char unit[CRASH_UNIT_BYTES] = "";
    char actor[CRASH_ACTOR_BYTES] = "";
    char type[CRASH_TYPE_BYTES] = "";
    char digits[24];
    void *frames[CRASH_FRAMES_MAX];
    if (crash_executing_function)
        crash_executing_function(unit, sizeof(unit), actor, sizeof(actor), type, sizeof(type));
    head_add_line(&head, "signal", format_number((uint64_t)signal_number, 10, digits + sizeof(digits)));
    head_add_line(&head, "address", format_number((uint64_t)info->si_addr, 16, digits + sizeof(digits)));
    head_add_line(&head, "unit", unit);
    head_add_line(&head, "actor", actor);
    head_add_line(&head, "type", type);
    head_add(&head, "backtrace\n");
    /* The head goes out first: should the unwinder meet a broken stack, the attribution is already safe. */
    if (write(crash_fd, head.text, head.size) < 0)
        return;
    backtrace_symbols_fd(frames, take_frames(context, frames), crash_fd);
}

static void handle_crash(int signal_number, siginfo_t *info, void *context)
{
    while (atomic_flag_test_and_set(&crash_taken))
        (void)pause(); /* another thread is writing; its signal ends all of us */
    write_record(signal_number, info, context);
    if (crash_last_words)
        crash_last_words();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number); /* pending until we return, then it does what it always did */
}

int crash_install(int record_fd, crash_executing executing, struct err *err)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_sigaction = handle_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof(crash_stack)};
    void *frame = NULL;
    (void)backtrace(&frame, 1); /* the first call loads the unwinder, which a handler must not */
    if (sigaltstack(&stack, NULL) < 0)
        return err_set_errno(err, errno, "alternate signal stack");
    crash_fd = record_fd;
    crash_executing_function = executing;
    (void)sigemptyset(&action.sa_mask); /* of our own memory: cannot fail */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (sigaction(numbers[i], &action, NULL) < 0)
            return err_set_errno(err, errno, "handler of signal %d", numbers[i]);
    return 0;
}

void crash_set_last_words(void (*last_words)(void))
{
    crash_last_words = last_words;
}

static void handle_look(int signal_number, siginfo_t *info, void *context)
{
    int error = errno;
    write_record(signal_number, info, context);
    errno = error;
}

int crash_show_stack_on(int signal_number, struct err *err)
{
    struct sigaction action = {.sa_sigaction = handle_look, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask); /* as above */
    if (sigaction(signal_number, &action, NULL) < 0)
        return err_set_errno(err, errno, "handler of signal %d", signal_number);
    return 0;
}
