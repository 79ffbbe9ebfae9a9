/* A shell around the core for tests: performs what is planned at once, on nodes that obey, and keeps a line
 * for each action. What a test wants to do by itself it switches off. */
#ifndef UNIT_CORE_STAGE_H
#define UNIT_CORE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/vec.h"
#include "core/core.h"
#include "types/fence_record.h"

enum { STAGE_NAME_BYTES = 64 };

struct stage_unit {
    char name[STAGE_NAME_BYTES];
    uint64_t epoch;
    int64_t generation;
    enum core_unit_state state;
};

struct stage_node {
    char name[STAGE_NAME_BYTES];
    uint64_t uid;
    uint32_t term;
    uint64_t roster_version;
    uint32_t index;
    char template_hash[STAGE_NAME_BYTES];
    bool is_cut;                  /* its machine is lost: nothing gets there */
    VEC(struct stage_unit) units; /* held, or seen: state FAILED */
};

struct stage {
    struct core *core;
    int64_t now_ms;
    struct str log; /* "write 1\ncreate bank-nodes-0\n..." since the last stage_forget */
    VEC(struct stage_node) nodes;
    struct fence_record disk;
    uint64_t next_uid;
    uint64_t last_write;
    int64_t wake_at_ms;
    bool is_cluster;           /* nodes are pods: found, not started, and a forced deletion proves nothing */
    const char *template_hash; /* told at the start; NULL: none */
    bool keeps_fence;          /* writes are not answered */
    bool fails_fence;          /* writes fail */
    bool creates_no_nodes;     /* creations are not answered */
    bool keeps_assignments;    /* they are neither taken nor answered */
    bool keeps_revocations;
    bool keeps_drains;
    const char *start_fails; /* a unit that does not start; NULL: none */
    bool is_stopped;
    bool is_lost;
};

/* entries: lines of spec.actors; extra: other lines of spec, or "". */
struct system_spec *stage_spec(uint32_t nodes, const char *entries, const char *extra);
void stage_start(
    struct stage *stage, struct system_spec *spec_take, const struct fence_record *record, const char *uid);
void stage_done(struct stage *stage);
/* Time passes, and everything planned is done until nothing is left. */
void stage_settle(struct stage *stage, int64_t ms);
/* Plans once, without doing anything; how many actions of that kind there are. */
void stage_forget(struct stage *stage);

/* The next leader, with what is on the disk and the nodes that live (those of a cluster are told). */
void stage_next_leader(struct stage *stage, struct system_spec *spec_take);
/* The same spec with changes, of the next generation. */
struct system_spec *stage_spec_again(struct stage *stage, uint32_t nodes, const char *entries);
void stage_change(struct stage *stage, struct system_spec *spec_take);

struct stage_node *stage_node(struct stage *stage, const char *name);
/* The node that runs the unit, or NULL. */
struct stage_node *stage_holder(struct stage *stage, const char *unit);
struct stage_unit *stage_unit(struct stage_node *node, const char *unit);
void stage_connect(struct stage *stage, struct stage_node *node);
/* The runtime dies; its parent starts the next one, which connects (unless stays_down). */
void stage_kill(
    struct stage *stage, struct stage_node *node, const struct core_node_exit *how, bool stays_down);
/* Its machine is gone: the stream breaks, and nothing comes any more. */
void stage_cut(struct stage *stage, struct stage_node *node);
/* What the driver sees of a node. */
void stage_find(struct stage *stage, const struct stage_node *node);
void stage_inventory(struct stage *stage, struct stage_node *node);
/* The reason of a condition, of the form "True AllUnitsRunning"; the caller frees it. */
char *stage_condition(struct stage *stage, const char *type);
void stage_expect(struct stage *stage, const char *type, const char *condition);
/* The condition's message has that text in it. */
void stage_expect_message(struct stage *stage, const char *type, const char *part);
/* What placed the unit. */
void stage_expect_rule(struct stage *stage, const char *unit, const char *rule);
/* "Running", "Backoff", ... of a unit; the caller frees it. */
char *stage_unit_state(struct stage *stage, const char *unit);
/* The position of a line in the log, -1 when it is not there. */
long stage_log_find(const struct stage *stage, const char *line);
size_t stage_log_count(const struct stage *stage, const char *prefix);

#endif
