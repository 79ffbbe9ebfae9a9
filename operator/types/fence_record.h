/* The fence record (failure-model.md R0): what must survive the operator. One object a system; in a local run
 * one file. Written as a whole; the next leader starts from it.
 *
 * Owner: the struct owns its texts and lists. Pure. */
#ifndef TYPES_FENCE_RECORD_H
#define TYPES_FENCE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct err;
struct json;

struct roster_member {
    uint64_t uid;
    char *node; /* "bank-nodes-0" */
    char *pod_uid;
    char *link_address;
    char *gateway_address;
};

struct roster {
    uint64_t version; /* 0: there was never one */
    VEC(struct roster_member) members;
};

struct quarantine_record {
    char *unit;
    char *reason;
    int64_t at_wall_ms;
};

/* Enough for every node of the largest system to have died a few times; the oldest fall out. */
enum { FENCE_DEAD_UIDS_MAX = 4096 };

struct fence_record {
    char *system;
    char *system_uid; /* another uid is another system: only term and serial go over to it */
    uint32_t term;
    int64_t lease_ms;
    struct roster current;
    struct roster previous;
    bool is_committed;       /* nobody can act by `previous` any more */
    VEC(uint64_t) dead_uids; /* oldest first */
    uint64_t next_serial;
    uint32_t spread_nodes; /* over how many nodes units were last spread; 0: unknown */
    VEC(char *) cordons;   /* names of nodes */
    VEC(struct quarantine_record) quarantines;
};

void roster_done(struct roster *roster);
void roster_copy(struct roster *to, const struct roster *from); /* to is empty or zeroed */
const struct roster_member *roster_find(const struct roster *roster, uint64_t uid);
/* Texts are copied. */
void roster_add(struct roster *roster, const struct roster_member *member);
bool roster_remove(struct roster *roster, uint64_t uid);

void fence_record_done(struct fence_record *record);
void fence_record_copy(struct fence_record *to, const struct fence_record *from);
bool fence_record_is_dead(const struct fence_record *record, uint64_t uid);
/* False when it was there. */
bool fence_record_add_dead(struct fence_record *record, uint64_t uid);
const struct quarantine_record *fence_record_quarantine(const struct fence_record *record, const char *unit);
void fence_record_add_quarantine(
    struct fence_record *record, const char *unit, const char *reason, int64_t at_wall_ms);
bool fence_record_remove_quarantine(struct fence_record *record, const char *unit);

/* As a tree that the caller frees, and back (ret_record is overwritten, not freed first). ERR_INVALID for
 * anything that fence_record_to_json would not write. */
struct json *fence_record_to_json(const struct fence_record *record);
int fence_record_from_json(const struct json *json, struct fence_record *ret_record, struct err *err);

#endif
