/* node_control/convert.h: between control.proto and plain structs; the only files here that see generated
 * code. */
#pragma once

#include "node_control/command.h"
#include "node_control/exits.h"
#include "node_control/life.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor_counters;
struct actor_info;
struct err;
struct rpc_buffer;
struct wire_arena;

enum { CONTROL_PROTOCOL_MIN = 1, CONTROL_PROTOCOL_MAX = 1 };

/* One OperatorMessage from outside. Borrows from `arena` until its reset; command_done() also on a command
 * that was only decoded. ERR_INVALID, ERR_LIMIT: not to be trusted further. A bad unit in an assign is no
 * error of the message: its spec is NULL and spec_error says why, so that it can be answered. */
int convert_command(
    const uint8_t *data, size_t size, struct wire_arena *arena, struct command *ret_command, struct err *err);

/* ---- NodeMessages, ready to be sent; texts that are not UTF-8 are mended. All begin with who we are. ----
 */

struct convert_sender {
    uint64_t node_uid;
    uint64_t term;
};

struct convert_identity {
    const char *system, *system_uid, *node_name, *pod_uid, *kube_node, *zone, *software;
    const uint8_t *credential;
    size_t credential_size;
    const char *link_address, *gateway_address;
    uint32_t cores;
    uint64_t memory_bytes;
};

struct rpc_buffer *convert_hello(
    const struct convert_sender *sender, const struct convert_identity *identity, const struct life *life);
struct rpc_buffer *convert_lease(
    const struct convert_sender *sender, uint64_t nonce, uint64_t roster_version, bool is_suspended);
/* `rows` are sorted by unit. */
struct rpc_buffer *convert_inventory(const struct convert_sender *sender,
    const struct assignments *assignments, const struct actor_info *rows, size_t row_count,
    uint64_t roster_version, uint64_t route_version);
struct rpc_buffer *convert_assigned(
    const struct convert_sender *sender, const struct assignment_action *answer);
struct rpc_buffer *convert_revoked(
    const struct convert_sender *sender, const struct assignment_action *answer);
struct rpc_buffer *convert_blocked(const struct convert_sender *sender, const struct command_block *block);
struct rpc_buffer *convert_exits(const struct convert_sender *sender, const struct exit_batch *batch);
struct rpc_buffer *convert_load(
    const struct convert_sender *sender, const struct actor_counters *counters, uint64_t memory_bytes);
struct rpc_buffer *convert_drained(const struct convert_sender *sender);
struct rpc_buffer *convert_refused(
    const struct convert_sender *sender, enum refusal refusal, const char *text);
struct rpc_buffer *convert_acknowledged(const struct convert_sender *sender, uint64_t roster_version,
    uint64_t route_version, int64_t configuration_generation);
