/* actor/behavior.h: what behaviors inside of the runtime (the supervisor) may do beyond histrio/actor.h.
 *
 * An internal behavior is a plain struct histrio_behavior whose functions are linked in. It uses the public
 * functions (histrio_exit, histrio_monitor, histrio_timer_start, histrio_trap_exits, histrio_tell ...) and
 * these. All of them are called with the context of the function that runs, on its worker. Everything here is
 * synchronous and local: an actor, its supervisor and all of its unit live on one worker.
 *
 * Signals: links, monitors and exit signals on one worker take effect at once, except that an exit signal
 * never ends the receiver inside of the sender's handler: the receiver's turn handles it before any message.
 * HISTRIO_EXIT (when trapping) and HISTRIO_DOWN are messages, in order behind the messages that the ended
 * actor sent before; they do not count against a mailbox's capacity and are never dropped.
 *
 * Reasons, as in OTP: "normal", "shutdown", "killed" (after the signal "kill"), "noproc", "noconnection",
 * "error" or a text given to histrio_fail(). */
#ifndef ACTOR_BEHAVIOR_H
#define ACTOR_BEHAVIOR_H

#include "actor/system.h"

struct actor_unit;
struct err;

/* ---- spawning under a name that outlives the incarnation ---- */

struct actor_spawn {
    const struct histrio_behavior *behavior; /* lives as long as the system */
    const char *behavior_name;               /* for listings: "bank.teller", "supervisor"; lives as long */
    const char *path;                        /* the whole name: "tellers.0/counter"; NULL: unnamed */
    const uint8_t *arguments;                /* handed to start as they are (so also a pointer to anything) */
    size_t arguments_size;
    uint32_t mailbox_capacity;
    enum actor_overflow overflow;
    bool drop_mailbox_on_exit; /* of a held name: the mailbox is answered and emptied at each exit */
    bool link;                 /* with the spawning actor, before start runs */
    bool monitor;
    /* The name stays taken when the actor ends, with its mailbox, which goes on taking messages sent by name,
     * until actor_spawn() starts the next incarnation under the same path, or actor_release() gives it up.
     * Only the spawning actor may do either; when that ends, what it holds is released. */
    bool hold;
    bool is_hosted;   /* see actor/hosted.h */
    bool is_in_c;     /* with is_hosted: it cannot take what attachment.h has */
    bool parent_ends; /* with is_hosted: exit signals of who spawns it are never trapped */
};

/* Runs the behavior's start inside of this call, and returns when it has run. 0: it runs; *ret_monitor is set
 * with `monitor`. -1: nothing runs, no EXIT and no DOWN comes, and a held name is held on: ERR_CONFLICT (the
 * name is taken), ERR_LIMIT (starts nest deeper than 100, or too many actors), ERR_INVALID (start said FAIL;
 * the text is the reason). */
int actor_spawn(struct histrio_context *ctx, const struct actor_spawn *spawn, struct histrio_ref *ret_ref,
    uint64_t *ret_monitor, struct err *err);

/* Gives up a held name whose actor has ended: asks in its mailbox are answered NOT_FOUND, tells become dead
 * letters, in order. Nothing happens when the name is not held by us, or its actor runs: then it is just no
 * longer held. */
void actor_release(struct histrio_context *ctx, const char *path);

/* Ends an actor of this worker inside of this call: its stop function runs, links and monitors fire, trapping
 * or not. One whose function is on the stack (we ourselves, or who spawned us) ends when that has returned.
 * Nothing happens when it is gone. */
void actor_end_now(struct histrio_context *ctx, struct histrio_ref ref, const char *reason);

/* ---- looking around ---- */

struct actor_system *actor_context_system(struct histrio_context *ctx);
/* The unit that the actor belongs to; NULL for none. */
struct actor_unit *actor_context_unit(struct histrio_context *ctx);
/* The copy that the runtime keeps as long as the unit lives. */
const struct actor_unit_spec *actor_unit_spec(const struct actor_unit *unit);
uint64_t actor_unit_epoch(const struct actor_unit *unit);
/* NULL when no loaded library has it. *ret_name (may be NULL): the same text, living as long as the system.
 * Any thread. */
const struct histrio_behavior *actor_behavior_find(
    struct actor_system *system, const char *name, const char **ret_name);
/* True as long as that incarnation runs (on this worker). */
bool actor_is_alive(struct histrio_context *ctx, struct histrio_ref ref);

/* ---- reporting ---- */

/* Calls events.exited; unit, epoch and at_wall_ms are filled in here. incarnation 0: the last one started
 * under path. */
void actor_report_exit(struct histrio_context *ctx, const char *path, uint64_t incarnation,
    const char *reason, const char *decision, const char *cause);
/* What the listing shows for a name while it is between incarnations: "Restarting", "Stopping", "Stopped".
 * Borrowed for ever: a literal. */
void actor_set_state(struct histrio_context *ctx, const char *path, const char *state);
/* A supervisor has decided, and goes on: perhaps its unit waits for nobody any more. */
void actor_unit_settled(struct histrio_context *ctx);
/* Counts restarts for actor_system_counters(). */
void actor_count_restart(struct histrio_context *ctx);

/* ---- the root of a unit ----
 *
 * actor_system_unit_start() chooses a worker and runs there, with path = the unit's name when
 * spec.root.is_supervisor, else NULL, the behavior actor_supervisor_root (supervisor.h), arguments = its
 * struct actor_unit *. When start returns CONTINUE, the unit is reported UNIT_PRESENT, and UNIT_RUNNING
 * when no hosted actor of it is still starting; when it fails,
 * UNIT_FAILED with the reason. actor_system_unit_stop() sends the root the exit signal "shutdown". When the
 * root has ended, the unit is reported UNIT_STOPPED for the reasons normal and shutdown, else UNIT_FAILED
 * with the reason: a root that gives up calls histrio_fail() with why and returns HISTRIO_FAIL. By then it
 * must have ended all its children: nothing of the unit is alive after that report. */

#endif
