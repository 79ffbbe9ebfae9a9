/* node/crash.h: the last words of a runtime process.
 *
 * The handler of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT writes a record of a few lines to a descriptor
 * that the parent made (a memfd, so that it survives us), then lets the signal do what it does. It uses only
 * what is async-signal-safe, runs on an alternate stack where its thread has one, and the first thread that
 * crashes wins. */
#pragma once

#include "node_control/life.h"

#include <stddef.h>

struct err;

/* Fills in what the calling thread executes now; async-signal-safe. */
typedef void (*crash_executing)(
    char *ret_unit, size_t unit_size, char *ret_actor, size_t actor_size, char *ret_type, size_t type_size);

/* Installs the handler; `record_fd` stays open for the life of the process. `executing` may be NULL. Main
 * thread, before any other thread runs. */
int crash_install(int record_fd, crash_executing executing, struct err *err);

/* Reads what a handler wrote, cut or garbled as it may be, into unit, actor and backtrace of *end; other
 * fields are left alone. An empty record leaves all of it "". */
void crash_record_parse(const char *text, size_t size, struct life_end *end);
