/* base/crash.h: the last words of a process that runs other people's code.
 *
 * The handler of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT writes a record of a few lines to a descriptor
 * that whoever started us made (a memfd, so that it survives us), then lets the signal do what it does. It
 * uses only what is async-signal-safe, runs on an alternate stack where its thread has one, and the first
 * thread that crashes wins. */
#pragma once

#include <stddef.h>

struct err;

/* Fills in what the calling thread executes now; async-signal-safe. */
typedef void (*crash_executing)(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size);

/* Installs the handler; `record_fd` stays open for the life of the process. `executing` may be NULL. Main
 * thread, before any other thread runs. */
int crash_install(int record_fd, crash_executing executing, struct err *err);

/* After crash_install(): called when the record of a crash is written, with what the process has still to
 * say. Async-signal-safe. */
void crash_set_last_words(void (*last_words)(void));

/* After crash_install(): this signal has the same written, and the process goes on. */
int crash_show_stack_on(int signal_number, struct err *err);
