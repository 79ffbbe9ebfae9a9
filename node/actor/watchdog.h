/* Looks for handlers that do not return: a thread that reads what each worker executes, and calls
 * events.stuck once for a handler that has run for longer than the limit. It cannot end one: that is a
 * decision above the runtime. */
#ifndef ACTOR_WATCHDOG_H
#define ACTOR_WATCHDOG_H

struct actor_system;
struct err;
struct watchdog;

int watchdog_new(struct actor_system *system, struct watchdog **ret_watchdog, struct err *err);
void watchdog_free(struct watchdog *watchdog);

#endif
