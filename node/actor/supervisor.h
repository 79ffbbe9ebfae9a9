/* actor/supervisor.h: the actors that start, watch and restart the others of a unit, by the rules of
 * supervision.h. An ordinary behavior on the primitives of behavior.h; one for each supervisor of a unit.
 *
 * Names: the root has the unit's name ("tellers.0"), a child of it "tellers.0/counter", a child of a child
 * "tellers.0/inner/deep". A unit whose root is a plain behavior ("ledger") gets an unnamed supervisor with
 * the root's own `restarts_max` and `period_ms` above it, whose single child has the unit's name; when that
 * has ended and is not restarted, the unit has ended.
 *
 * Children are linked with their supervisor, and watched by a monitor, so that one that unlinks cannot hang
 * it. A killed supervisor takes its children with it, in reverse order. An exit signal from the parent stops
 * all children in reverse order, each in its own time, then the supervisor. Each end of a child is reported
 * with its decision and cause.
 *
 * As in OTP, and unlike it: a child whose restart fails is tried again; at the very first start of the unit a
 * failed child ends the start, and the ones before it are ended at once, without their shutdown time. */
#ifndef ACTOR_SUPERVISOR_H
#define ACTOR_SUPERVISOR_H

#include "actor/system.h"

/* The root of a unit. Its start argument is a struct actor_unit *. */
extern const struct histrio_behavior actor_supervisor_root;

/* Supervisors nest at most this deep, the root counts. */
enum { SUPERVISOR_DEPTH_MAX = 64 };

/* Is the unit well-formed? Names are DNS labels and unique in the unit, `under` names a supervisor before its
 * child, nothing nests too deep, supervisors have a period, everything else has a behavior. ERR_INVALID says
 * which child. */
int supervisor_check(const struct actor_unit_spec *spec, struct err *err);

/* Starts a tree below the actor of the context, in its unit: tree->name is the whole path of its root. A root
 * that is no supervisor gets one, as in a unit. It lives on when the actor ends, and ends with the unit, or
 * for good when its root is not restarted. ret_root: the root; ret_supervisor: the same, or the supervisor
 * above it. ERR_INVALID: the tree is wrong, or a child did not start; ERR_CONFLICT: the name is taken. */
int supervisor_spawn(struct histrio_context *ctx, const struct actor_unit_spec *tree,
    struct histrio_ref *ret_supervisor, struct histrio_ref *ret_root, struct err *err);

/* Whether it is one of the behaviors of supervisors. */
bool supervisor_runs(const struct histrio_behavior *behavior);

/* Requests of OTP's API, as asks to a supervisor from actors (not from clients: DENIED), with one argument,
 * `child`: its name as in actor_child_spec. The answer is nil, or an error: NOT_FOUND, BAD_ARGUMENT "is
 * running" or "is restarting", APPLICATION with the reason of a failed start. */
#define SUPERVISOR_TERMINATE_CHILD "supervisor.terminateChild"
#define SUPERVISOR_RESTART_CHILD "supervisor.restartChild"
#define SUPERVISOR_DELETE_CHILD "supervisor.deleteChild"

#endif
