/* node_control/command.h: what the operator says, decoded and checked, as plain structs. Texts and arrays are
 * borrowed from the arena that it was decoded into; the spec of an assign is owned (see convert.h). Texts are
 * never NULL. */
#pragma once

#include "node_control/assignments.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command_kind {
    COMMAND_UNKNOWN, /* of a newer operator: ignored */
    COMMAND_HELLO,
    COMMAND_CONFIGURATION,
    COMMAND_ROSTER,
    COMMAND_ASSIGN,
    COMMAND_REVOKE,
    COMMAND_ECHO,
    COMMAND_BLOCK,
    COMMAND_ROUTES,
    COMMAND_DEAD,
    COMMAND_DRAIN,
    COMMAND_INVENTORY,
};

struct command_hello {
    uint32_t protocol_min, protocol_max;
    const char *system, *system_uid;
    uint64_t node_uid; /* 0: an operator */
    const uint8_t *credential;
    size_t credential_size;
    const char *software;
};

struct command_library {
    const char *name, *path;
};

struct command_python {
    const char *const *paths;
    size_t path_count;
    const char *const *preload;
    size_t preload_count;
    uint32_t workers;
    uint32_t handler_timeout_ms; /* 0: no limit */
    uint64_t memory_bytes_max;   /* 0: no limit */
};

/* Worker processes of behaviors in C. */
struct command_workers {
    uint32_t count;              /* 0: as many as cores */
    uint32_t handler_timeout_ms; /* 0: no limit */
    uint64_t memory_bytes_max;   /* 0: no limit */
};

struct command_configuration {
    int64_t generation;
    const struct command_library *libraries;
    size_t library_count;
    const char *const *code_folders;
    size_t code_folder_count;
    uint32_t lease_ms;
    uint32_t workers;
    bool has_python;
    struct command_python python;
    bool has_c_workers;
    struct command_workers c_workers;
};

struct command_member {
    uint64_t node_uid;
    const char *node_name, *link_address, *gateway_address;
};

struct command_roster {
    uint64_t version;
    uint32_t lease_ms;
    const struct command_member *members;
    size_t member_count;
    const uint64_t *dead_uids;
    size_t dead_count;
};

struct command_placement {
    const char *unit;
    uint64_t epoch, node_uid;
};

struct command_routes {
    uint64_t version;
    bool is_full;
    const struct command_placement *placements;
    size_t placement_count;
};

struct command_revoke {
    const char *unit;
    uint64_t epoch, node_uid;
};

struct command_echo {
    uint64_t node_uid, nonce;
};

struct command_block {
    uint64_t node_uid, round_term, round_counter;
};

struct command_dead {
    const uint64_t *node_uids;
    size_t count;
};

struct command {
    uint64_t term;
    enum command_kind kind;
    union {
        struct command_hello hello;
        struct command_configuration configuration;
        struct command_roster roster;
        struct assignment_request assign; /* its spec is of actor/spec.h, owned by the command */
        struct command_revoke revoke;
        struct command_echo echo;
        struct command_block block;
        struct command_routes routes;
        struct command_dead dead;
        uint32_t drain_timeout_ms;
    };
    char spec_error[256]; /* what assign.spec_error points to */
};

/* Frees an assign's spec that nobody took (set it to NULL when it was). */
void command_done(struct command *command);
