/* The nodes of a system as the core knows them. Private to this module. */
#ifndef CORE_NODE_TABLE_H
#define CORE_NODE_TABLE_H

#include "core/core.h"
#include "types/system.h"

enum node_phase {
    NODE_PLANNED,  /* its name is not yet durable, or its backoff runs */
    NODE_CREATING, /* the driver was asked */
    NODE_UP,       /* the driver or a hello showed it */
    NODE_DELETING, /* the driver was asked to end it, or somebody else did */
    NODE_ENDED,    /* it ended for good; what is left of it is to be deleted */
};

struct node {
    char *name;
    uint64_t serial; /* of the name */
    uint32_t index;
    enum node_phase phase;
    bool is_wanted;          /* false: units leave, then it is deleted */
    int64_t leaving_from_ms; /* when it became unwanted */
    bool is_cordoned;
    bool is_drain_asked;          /* by a user */
    bool is_ending;               /* somebody else deletes it */
    bool is_unready;              /* clients are not sent there */
    bool refuses_units;           /* said that it drains; until its next uid */
    uint64_t create_after_change; /* of the fence record */
    int64_t create_at_ms;
    int64_t delete_by_ms;         /* forced then; 0: no deletion under way */
    uint64_t delete_after_change; /* of the fence record, when it ended or was fenced */
    bool is_delete_sent;          /* of this phase */
    bool was_forced;
    uint32_t runtime_restarts;
    uint32_t unit_count; /* as counted last, for choices among nodes */
    bool is_known;       /* it was there before this leader made any */
    bool was_told;       /* by the driver or by itself, to this leader */

    /* Silence and assertion. */
    int64_t echoed_ms;      /* of this connection; INT64_MIN: not told */
    int64_t silent_from_ms; /* the last echo, or the end of the last connection; INT64_MIN: never connected */
    char *assertion;        /* why it is said to be gone; NULL: nobody says so */
    bool is_removed;        /* nothing is left to delete */
    bool is_fenced;         /* declared dead by assertion: to be removed whatever it says */
    bool is_lost_told;
    int64_t unready_from_ms; /* INT64_MAX: it is in use, or not to be yet */

    /* The present runtime. */
    uint64_t uid; /* 0: none */
    int64_t pid;
    int64_t started_wall_ms;
    bool is_member;         /* uid is in the current roster */
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
    int64_t configuration_acknowledged;
    uint64_t roster_sent;
    uint64_t roster_acknowledged;
    uint64_t routes_sent;
    bool has_routes;
    uint64_t dead_sent; /* how many deaths it was told */

    /* From the last hello, what the driver sees, and the last load. */
    char *pod_uid;
    char *kube_node;
    char *zone;
    char *template_hash; /* NULL: not known */
    struct label_list kube_labels;
    char *condition_reason; /* NULL: nothing to say */
    char *condition_message;
    char *link_address;
    char *gateway_address;
    struct core_load load;
};

struct uid_list {
    uint64_t *items;
    size_t count;
    size_t capacity;
};

struct node *node_add(struct core *core, const char *name, uint32_t index);
/* The node of that name, which exists: driver or hello said so. */
struct node *node_meet(struct core *core, const char *name);
struct node *node_by_name(const struct core *core, const char *name);
/* The node whose present runtime has that uid. */
struct node *node_by_uid(const struct core *core, uint64_t uid);
/* Takes it out of the table and frees it; its uid must be dead or 0. */
void node_remove(struct core *core, struct node *node);
void node_free(struct node *node);
/* Everything that belongs to one connection. */
void node_reset_session(struct core *core, struct node *node);
/* The runtime is another one now (or none: 0). */
void node_set_uid(struct core *core, struct node *node, uint64_t uid, int64_t pid);
/* Connected, known, in the durable roster: commands about units may go there. */
bool node_is_usable(const struct core *core, const struct node *node);
/* Usable, and units may be placed there. */
bool node_takes_units(const struct core *core, const struct node *node);
/* It was made from something else than nodes are to be made from now. */
bool node_is_outdated(const struct core *core, const struct node *node);
void node_set_wanted(struct core *core, struct node *node, bool is_wanted);
/* How many nodes there should be now. */
uint32_t nodes_desired(const struct core *core);
/* Its uids that are not known dead: of the present runtime, and of the rosters. Released with vec_done. */
void node_living_uids(const struct core *core, const struct node *node, struct uid_list *ret_uids);
bool node_may_live(const struct core *core, const struct node *node);
/* Takes its name off the fence record's cordons; the caller says that the record changed. */
bool node_forget_cordon(struct core *core, const char *name);

/* ---- fleet.c: how many nodes there are, and which ---- */

/* The smallest index that no node has which stays. */
uint32_t node_free_index(const struct core *core);
/* Makes, unwants and gives up nodes so that there are as many as desired, made from what they should be. */
void nodes_decide(struct core *core);
/* Not in use for long, although it should be. */
bool node_is_slow(const struct core *core, const struct node *node);
/* A wanted node does not take units yet, and may soon. */
bool nodes_are_coming(const struct core *core);

/* ---- loss.c: silent nodes, and assertions ---- */

/* When the last permission that its uids may have from an echo is over. */
int64_t node_permission_end_ms(const struct core *core, const struct node *node);
/* Silent for longer than any permission of its lasts, and not known dead. */
bool node_is_lost(const struct core *core, const struct node *node);
void losses_decide(struct core *core);

/* ---- node_plan.c ---- */

/* Actions of drivers: create, drain, delete. */
void nodes_emit(struct core *core);
/* Configuration, inventory request, roster, dead: what each session still lacks. */
void sessions_emit(struct core *core);

#endif
