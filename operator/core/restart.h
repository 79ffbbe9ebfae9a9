/* The root supervisor's rules: intensity, backoff, quarantine, crashes of nodes, one at a time. Private to
 * this module.
 */
#ifndef CORE_RESTART_H
#define CORE_RESTART_H

#include "core/unit_table.h"

struct node;

void restart_init(struct core *core, struct unit *unit);
/* The unit failed on that node (NULL: unknown); is_crash: it took the node down. Decides the backoff or the
 * quarantine; true: it is quarantined now. */
bool restart_unit_failed(
    struct core *core, struct unit *unit, const struct node *node, bool is_crash, const char *reason);
/* It runs. */
void restart_unit_running(struct core *core, struct unit *unit);
/* A node died; called before its holds go. how NULL: the node was ended as asked. */
void restart_node_died(struct core *core, struct node *node, uint64_t uid, const struct core_node_exit *how);
/* The same by assertion; why: what is asserted. */
void restart_node_lost(struct core *core, struct node *node, uint64_t uid, const char *why);
/* May this unit be placed now, as far as backoff and suspicion go? Sets the plan's wake-up when time decides.
 */
bool restart_may_place(struct core *core, struct unit *unit);
/* It is being placed. */
void restart_placed(struct core *core, struct unit *unit);
/* Nothing when it is on no trial. */
void restart_end_trial(struct core *core, struct unit *unit);
/* Ends trials whose time is over. */
void restart_tick(struct core *core);
void restart_quarantine(struct core *core, struct unit *unit, const char *reason);

#endif
