/* What the operator says, and who may say it. */
#include "base/log.h"
#include "base/str.h"
#include "node_control/control_private.h"

#include <stdio.h>

/* In constant time: how long a wrong credential takes to refuse says nothing about the right one. */
static bool is_same_secret(const uint8_t *left, size_t left_size, const uint8_t *right, size_t right_size)
{
    unsigned difference = left_size != right_size;
    for (size_t i = 0; i < right_size; i++)
        difference |= (unsigned)((i < left_size ? left[i] : 0) ^ right[i]);
    return difference == 0;
}

static enum rpc_code check_hello(
    const struct node_control *control, const struct command_hello *hello, const char **ret_text)
{
    const struct node_control_config *config = &control->config;
    *ret_text = "wrong credential";
    if (!is_same_secret(
            hello->credential, hello->credential_size, config->credential, config->credential_size))
        return RPC_UNAUTHENTICATED;
    *ret_text = "another system";
    if (!text_equal(hello->system, config->system) || !text_equal(hello->system_uid, config->system_uid))
        return RPC_FAILED_PRECONDITION;
    *ret_text = "no common version of the protocol";
    if (hello->protocol_min > CONTROL_PROTOCOL_MAX || hello->protocol_max < CONTROL_PROTOCOL_MIN)
        return RPC_FAILED_PRECONDITION;
    *ret_text = "only an operator may command";
    if (hello->node_uid != 0)
        return RPC_FAILED_PRECONDITION;
    return RPC_OK;
}

static enum refusal refusal_of(enum lease_verdict verdict)
{
    switch (verdict) {
    case LEASE_OBEY: return REFUSAL_NO;
    case LEASE_OLD_TERM: return REFUSAL_OF_OLD_TERM;
    case LEASE_STRANGE_TERM: break;
    }
    return REFUSAL_OF_STRANGE_TERM;
}

/* An assignment that waits was obeyed for its own term: it must not start on the lease of the next one (R1).
 */
static enum refusal hear_term(struct node_control *control, uint64_t term)
{
    struct assignment_actions actions = {0};
    uint64_t before = control->lease.term;
    enum refusal refusal = refusal_of(lease_hear_term(&control->lease, term));
    if (control->lease.term > before) {
        assignments_lease_lost(&control->assignments, "a new term began", &actions);
        control_perform(control, &actions);
    }
    return refusal;
}

static void replace_current(struct node_control *control, struct session *session)
{
    struct session *former = control->current;
    struct convert_sender sender = control_sender(control);
    control->current = session;
    control->logged_refusals = 0;
    if (!former)
        return;
    struct rpc_buffer *refused = convert_refused(&sender, REFUSAL_OF_OLD_TERM, "another operator took over");
    (void)session_send_take(former, refused, false); /* the status says the same */
    session_finish(former, RPC_FAILED_PRECONDITION, "another operator took over");
}

enum rpc_code control_hello(void *ctx, struct session *session, const struct command *command,
    const char **ret_text, struct rpc_buffer **ret_refused)
{
    struct node_control *control = ctx;
    enum rpc_code code = check_hello(control, &command->hello, ret_text);
    if (code != RPC_OK)
        return code;
    enum refusal refusal = hear_term(control, command->term);
    struct convert_sender sender = control_sender(control);
    if (refusal != REFUSAL_NO) {
        *ret_text = refusal_name(refusal);
        *ret_refused = convert_refused(&sender, refusal, *ret_text);
        return RPC_FAILED_PRECONDITION;
    }
    log_event(LOG_INFO, "operator connected", "term", log_number(command->term), "software",
        command->hello.software, NULL);
    replace_current(control, session);
    (void)control_send_take(control, convert_hello(&sender, &control->identity, control->config.life), true);
    control_send_lease_request(control);
    control_send_inventory(control);
    control_exits_waiting(control);
    return RPC_OK;
}

void control_session_ended(void *ctx, struct session *session, const char *text)
{
    struct node_control *control = ctx;
    struct assignment_actions actions = {0};
    if (session != control->current)
        return;
    log_event(LOG_INFO, "operator gone", "error", text, NULL);
    control->current = NULL;
    /* What waited for an echo of this operator must not start on that of the next. */
    assignments_lease_lost(&control->assignments, "the operator is gone", &actions);
    control_perform(control, &actions);
}

/* Once a session: whoever sends one wrong command sends many. */
static void log_refusal(struct node_control *control, const struct command *command, enum refusal refusal)
{
    unsigned bit = 1U << (unsigned)refusal;
    if (control->logged_refusals & bit)
        return;
    control->logged_refusals |= bit;
    log_event(LOG_WARNING, "command refused", "error", refusal_name(refusal), "term",
        log_number((int64_t)command->term), "ourTerm", log_number((int64_t)control->lease.term), NULL);
}

static void refuse_command(struct node_control *control, const struct command *command, enum refusal refusal)
{
    struct convert_sender sender = control_sender(control);
    log_refusal(control, command, refusal);
    struct assignment_action answer = {.refusal = refusal};
    if (command->kind == COMMAND_ASSIGN) {
        answer.unit = (char *)(uintptr_t)command->assign.unit; /* only read */
        answer.epoch = command->assign.epoch;
        answer.seen_epoch = assignments_seen_epoch(&control->assignments, command->assign.unit);
        (void)control_send_take(control, convert_assigned(&sender, &answer), true);
    } else if (command->kind == COMMAND_REVOKE) {
        answer.unit = (char *)(uintptr_t)command->revoke.unit; /* only read */
        answer.epoch = command->revoke.epoch;
        answer.seen_epoch = assignments_seen_epoch(&control->assignments, command->revoke.unit);
        (void)control_send_take(control, convert_revoked(&sender, &answer), true);
    } else {
        (void)control_send_take(control, convert_refused(&sender, refusal, refusal_name(refusal)), true);
    }
}

static void handle_echo(struct node_control *control, const struct command_echo *echo)
{
    if (lease_echo(&control->lease, echo->node_uid, echo->nonce, control_now_ns(control)))
        control_advance_waiting(control);
}

static void handle_assign(struct node_control *control, struct command *command)
{
    struct assignment_actions actions = {0};
    assignments_assign(&control->assignments, &command->assign, control_lease_state(control), &actions);
    command->assign.spec = NULL; /* taken */
    if (assignments_have_waiting(&control->assignments) && control->waiting_since_ns == 0)
        control->waiting_since_ns = control_now_ns(control);
    control_perform(control, &actions);
}

static void handle_revoke(struct node_control *control, const struct command_revoke *revoke)
{
    struct assignment_actions actions = {0};
    assignments_revoke(&control->assignments, revoke->unit, revoke->epoch, revoke->node_uid, &actions);
    control_perform(control, &actions);
}

static void handle_dead(struct node_control *control, const uint64_t *node_uids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (node_uids[i] != control->config.life->node_uid || control->is_fenced)
            continue;
        control->is_fenced = true;
        actor_system_set_suspended(control->actors, true);
        log_event(LOG_ERROR, "the operator declared this node dead", NULL);
        control->config.events.fenced(control->config.events.ctx);
    }
    control->config.peers.set_dead(control->config.peers.ctx, node_uids, count);
}

static void handle_roster(struct node_control *control, const struct command_roster *roster)
{
    /* Dead first: the roster's own list is the same set, and peers must not be dialled that are on it. */
    handle_dead(control, roster->dead_uids, roster->dead_count);
    if (roster->version < control->roster_version)
        return;
    control->roster_version = roster->version;
    lease_set_ttl(&control->lease, roster->lease_ms);
    control->config.peers.set_roster(control->config.peers.ctx, roster);
    control_acknowledge(control);
}

static void handle_routes(struct node_control *control, const struct command_routes *routes)
{
    control->config.peers.set_routes(control->config.peers.ctx, routes);
    if (routes->version > control->route_version)
        control->route_version = routes->version;
    control_acknowledge(control);
}

static void handle_block(struct node_control *control, const struct command_block *block)
{
    /* Peers grant nothing to each other yet (R4), so there is no grant that the leader would have to wait
     * out. */
    struct convert_sender sender = control_sender(control);
    (void)control_send_take(control, convert_blocked(&sender, block), true);
}

void control_command(void *ctx, struct session *session, struct command *command)
{
    struct node_control *control = ctx;
    if (session != control->current)
        return;
    enum refusal refusal = hear_term(control, command->term);
    if (refusal != REFUSAL_NO) {
        refuse_command(control, command, refusal);
        return;
    }
    switch (command->kind) {
    case COMMAND_UNKNOWN:
    case COMMAND_HELLO: return; /* of a newer operator, or said twice: neither changes anything */
    case COMMAND_CONFIGURATION: control_configure(control, &command->configuration); return;
    case COMMAND_ROSTER: handle_roster(control, &command->roster); return;
    case COMMAND_ASSIGN: handle_assign(control, command); return;
    case COMMAND_REVOKE: handle_revoke(control, &command->revoke); return;
    case COMMAND_ECHO: handle_echo(control, &command->echo); return;
    case COMMAND_BLOCK: handle_block(control, &command->block); return;
    case COMMAND_ROUTES: handle_routes(control, &command->routes); return;
    case COMMAND_DEAD: handle_dead(control, command->dead.node_uids, command->dead.count); return;
    case COMMAND_DRAIN:
        control_start_drain(
            control, command->drain_timeout_ms ? command->drain_timeout_ms : DRAIN_DEFAULT_MS);
        return;
    case COMMAND_INVENTORY: control_send_inventory(control); return;
    }
}
