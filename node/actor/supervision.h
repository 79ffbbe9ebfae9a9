/* actor/supervision.h: what one supervisor decides, without actors, threads or time: events go in, actions
 * come out.
 *
 * The rules are OTP's (stdlib's supervisor): start in order, one at a time, each only after the one before
 * has started; stop in reverse order, each with its own time; one_for_one, one_for_all, rest_for_one;
 * permanent, transient, temporary; more than `restarts_max` restarts within `period_ms` end the supervisor
 * with reason "shutdown"; a restart that fails is tried again after what else is waiting, and counts again.
 * tests/conformance runs the same scenarios here and on Erlang. Three things differ: a restart keeps the name
 * and the mailbox (SUPERVISION_RELEASE says when both go), the period is counted in milliseconds (a restart
 * exactly period_ms old still counts), and with a backoff a restart waits: what the strategy stops is stopped
 * at once, then the child is RESTARTING, as in OTP after a start that failed, for a time that doubles with
 * each restart of that child and begins anew when it lived for period_ms.
 *
 * A supervisor does one thing at a time. Events that come in the middle of something wait here, in order, as
 * messages wait in the mailbox of Erlang's supervisor.
 *
 *     supervision_start(s);
 *     while (supervision_next(s, &action)) perform(&action);          after every event
 *
 * Reasons are texts. Clean ones, which do not restart a transient child: "normal", "shutdown" and "shutdown:
 * anything".
 *
 * Owned by one supervisor, used on its thread. */
#ifndef ACTOR_SUPERVISION_H
#define ACTOR_SUPERVISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/system.h"

struct supervision;

struct supervision_flags {
    enum actor_strategy strategy;
    uint32_t restarts_max; /* 0: the first restart is one too many */
    uint32_t period_ms;
    uint32_t backoff_initial_ms; /* 0: restarts do not wait */
    uint32_t backoff_max_ms;     /* at least backoff_initial_ms */
};

struct supervision_child {
    const char *name; /* unique in its supervisor; copied */
    enum actor_restart restart;
    uint32_t shutdown_ms; /* or ACTOR_SHUTDOWN_BRUTAL, ACTOR_SHUTDOWN_INFINITY */
};

enum supervision_state {
    SUPERVISION_STOPPED,  /* the supervisor keeps its specification only */
    SUPERVISION_STARTING, /* SUPERVISION_START was given, no answer yet */
    SUPERVISION_RUNNING,
    SUPERVISION_RESTARTING, /* its restart waits, or failed and will be tried again */
    SUPERVISION_STOPPING,   /* SUPERVISION_SHUTDOWN or _KILL was given, it has not ended yet */
};

enum supervision_action_kind {
    SUPERVISION_START,    /* start `child`; answer with started, start_failed or ignored */
    SUPERVISION_SHUTDOWN, /* send it exit(shutdown); after `timeout_ms` (may be infinity) call
                             shutdown_expired */
    SUPERVISION_KILL,     /* send it exit(kill) */
    SUPERVISION_RELEASE,  /* it ended and does not come back now: its name and mailbox go */
    SUPERVISION_FORGET,   /* its specification is deleted; the number is never used again */
    SUPERVISION_REPORT,   /* an end was judged: reason, decision, cause */
    SUPERVISION_RETRY,   /* call supervision_retry() for `child` after `timeout_ms`, and after everything that
                            waits already */
    SUPERVISION_STARTED, /* all children are started: the supervisor's own start is done */
    SUPERVISION_FAILED,  /* its own start failed; no child runs any more; `reason` for its parent. The last
                            action */
    SUPERVISION_ENDED,   /* it stops itself with `reason`; no child runs any more. The last action */
    SUPERVISION_ANSWER,  /* of a request: `request`, `answer`, and the child's number or the `reason` */
};

enum supervision_decision {
    SUPERVISION_RESTART,
    SUPERVISION_RESTART_ALL,
    SUPERVISION_RESTART_REST,
    SUPERVISION_REMOVE,    /* it stays ended: transient and clean, or temporary */
    SUPERVISION_SHUT_DOWN, /* it was told to end: by a request, or because its supervisor ends */
    SUPERVISION_GIVE_UP,   /* too many restarts, or a start failed: the supervisor ends */
};

enum supervision_answer {
    SUPERVISION_OK,
    SUPERVISION_NO_SUCH_CHILD,
    SUPERVISION_IS_PRESENT,    /* start_child: a specification of this name, stopped */
    SUPERVISION_IS_RUNNING,    /* start_child, restart_child, delete_child */
    SUPERVISION_IS_RESTARTING, /* restart_child, delete_child */
    SUPERVISION_START_ERROR,   /* with the reason */
};

struct supervision_action {
    enum supervision_action_kind kind;
    enum supervision_decision decision;
    enum supervision_answer answer;
    uint32_t child; /* 0: none */
    uint32_t cause; /* child whose end caused this one; 0: its own, or the supervisor was told to end */
    uint32_t timeout_ms;
    uint64_t request;
    const char *reason; /* valid until the next call of supervision_next(); never NULL */
};

/* Copies the flags. Never NULL. */
struct supervision *supervision_new(const struct supervision_flags *flags);
void supervision_free(struct supervision *supervision);

/* Before supervision_start(): appends a child, returns its number (> 0), or 0 when the name is taken. */
uint32_t supervision_add(struct supervision *supervision, const struct supervision_child *child);

/* Events. Those that make no sense (an end of a child that does not run, a late timer) are ignored. */
void supervision_start(struct supervision *supervision);
void supervision_child_started(struct supervision *supervision, uint32_t child);
/* Its start function failed, or nothing could be started; nothing of it runs. */
void supervision_child_start_failed(struct supervision *supervision, uint32_t child, const char *reason);
/* Its start function asked not to be started, which is no failure. */
void supervision_child_ignored(struct supervision *supervision, uint32_t child);
void supervision_child_exited(
    struct supervision *supervision, uint32_t child, const char *reason, int64_t now_ms);
/* The same, by no fault of its own: others that ran in its process took it down. All rules act as for any
 * end, but the restart does not count towards the intensity. */
void supervision_child_lost(
    struct supervision *supervision, uint32_t child, const char *reason, int64_t now_ms);
void supervision_shutdown_expired(struct supervision *supervision, uint32_t child);
void supervision_retry(struct supervision *supervision, uint32_t child, int64_t now_ms);
/* End all children in reverse order, then SUPERVISION_ENDED with this reason. Waits its turn as every event
 * does. */
void supervision_stop(struct supervision *supervision, const char *reason);

/* Requests, each with exactly one SUPERVISION_ANSWER unless the supervisor ends before. By name, as in OTP.
 */
void supervision_start_child(
    struct supervision *supervision, const struct supervision_child *child, uint64_t request);
void supervision_terminate_child(struct supervision *supervision, const char *name, uint64_t request);
void supervision_restart_child(struct supervision *supervision, const char *name, uint64_t request);
void supervision_delete_child(struct supervision *supervision, const char *name, uint64_t request);

/* The next thing to do; false: nothing until the next event. */
bool supervision_next(struct supervision *supervision, struct supervision_action *ret_action);

/* Questions. */
uint32_t supervision_find(const struct supervision *supervision, const char *name); /* 0: no such child */
const char *supervision_child_name(
    const struct supervision *supervision, uint32_t child); /* NULL: no such child */
enum supervision_state supervision_child_state(const struct supervision *supervision, uint32_t child);
size_t supervision_count(const struct supervision *supervision);
/* True between an event that started something longer and its end. */
bool supervision_is_busy(const struct supervision *supervision);
/* "Restart", "RestartAll", ... as exit reports say it. */
const char *supervision_decision_name(enum supervision_decision decision);
/* normal, shutdown, shutdown: ... */
bool supervision_reason_is_clean(const char *reason);

#endif
