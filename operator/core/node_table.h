/* The nodes of a system as the core knows them. Private to this module. */
#ifndef CORE_NODE_TABLE_H
#define CORE_NODE_TABLE_H

#include "core/core.h"

enum node_phase {
    NODE_PLANNED,  /* its name is not yet durable, or its backoff runs */
    NODE_CREATING, /* the driver was asked */
    NODE_UP,       /* the driver or a hello showed it */
    NODE_DELETING, /* the driver was asked to end it */
};

struct node {
    char *name;
    uint32_t index;
    enum node_phase phase;
    bool is_wanted; /* false: units leave, then it is deleted */
    bool is_cordoned;
    bool refuses_units;           /* said that it drains; until its next uid */
    uint64_t create_after_change; /* of the fence record */
    int64_t create_at_ms;
    int64_t delete_by_ms; /* forced then; 0: no deletion under way */
    bool was_forced;
    uint32_t runtime_restarts;

    /* The present runtime. */
    uint64_t uid; /* 0: none */
    int64_t pid;
    int64_t started_wall_ms;
    uint64_t roster_change; /* the fence change that put uid into the roster; 0: not in it, or in it from the
                               start */

    /* The present connection. session grows with each; everything here begins anew with it. */
    uint64_t session;
    bool is_connected;
    bool is_inventory_asked;
    bool has_inventory; /* a full one, in this session and term */
    bool is_drain_sent;
    bool is_drained;
    int64_t configuration_sent;
    uint64_t roster_sent;
    uint64_t roster_acknowledged;
    uint64_t routes_sent;
    bool has_routes;
    uint64_t dead_sent; /* how many deaths it was told */

    /* From the last hello and load. */
    char *pod_uid;
    char *kube_node;
    char *zone;
    char *link_address;
    char *gateway_address;
    struct core_load load;
};

struct node *node_add(struct core *core, const char *name, uint32_t index);
struct node *node_by_name(const struct core *core, const char *name);
/* The node whose present runtime has that uid. */
struct node *node_by_uid(const struct core *core, uint64_t uid);
/* Takes it out of the table and frees it; its uid must be dead or 0. */
void node_remove(struct core *core, struct node *node);
void node_free(struct node *node);
/* Everything that belongs to one connection. */
void node_reset_session(struct node *node);
/* The runtime is another one now (or none: 0). */
void node_set_uid(struct core *core, struct node *node, uint64_t uid, int64_t pid);
/* Connected, known, in the durable roster: commands about units may go there. */
bool node_is_usable(const struct core *core, const struct node *node);
/* Usable, and units may be placed there. */
bool node_takes_units(const struct core *core, const struct node *node);
/* How many nodes there should be now. */
uint32_t nodes_desired(const struct core *core);

/* The smallest index that no node has. */
uint32_t node_free_index(const struct core *core);

/* Makes, unwants and gives up nodes so that there are as many as desired. */
void nodes_decide(struct core *core);
/* Actions of drivers: create, drain, delete. */
void nodes_emit(struct core *core);
/* Configuration, inventory request, roster, dead: what each session still lacks. */
void sessions_emit(struct core *core);

#endif
