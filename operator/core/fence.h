/* The fence record and the term (R0), and deaths (R6). Private to this module. */
#ifndef CORE_FENCE_H
#define CORE_FENCE_H

#include "core/core.h"

struct node;

/* Starts from what the last leader left (NULL: nothing): a higher term, and the rest when the system is the
 * same. */
void fence_init(struct core *core, const struct fence_record *record);
void fence_done(struct core *core);
/* The record was changed: it is to be written, and the number of the change is returned. */
uint64_t fence_changed(struct core *core);
bool fence_is_durable(const struct core *core, uint64_t change);
/* May anything be commanded in this term? */
bool fence_may_command(const struct core *core);
/* Somebody knows that term: ours becomes higher. Nothing when it is. */
void fence_meet_term(struct core *core, uint32_t term, const char *who);
uint64_t fence_next_epoch(struct core *core);
/* Units are spread over so many nodes: a leader that finds more wanted balances them. */
void fence_set_spread(struct core *core, uint32_t nodes);
/* That uid is dead by that rule (Proof, Assertion; a literal): it loses its units and its place in the
 * roster. Nothing when it is known. */
void fence_add_death(struct core *core, uint64_t uid, const char *rule);
/* How long what an echo permitted may last: the longest TTL in force and a tenth more. */
int64_t fence_permission_ms(const struct core *core);
/* The record's TTL is the longest that may be in force: raised with the spec, lowered when nobody goes by the
 * longer one any more. */
void fence_decide_lease(struct core *core);
void fence_emit(struct core *core);

#endif
