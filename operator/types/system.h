/* One ActorSystem object as plain structs: what a user wants. Made by api/manifest.h (which also fills every
 * default), never changed afterwards, and shared by counted references.
 *
 * Owner: every text, list and tree below belongs to the struct system_spec; what others take from it is
 * borrowed for as long as they hold a reference. Thread: any, once it is made: references are atomic, and
 * reading is free. Texts that the user left out are NULL unless said otherwise. */
#ifndef TYPES_SYSTEM_H
#define TYPES_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct json;

#define SYSTEM_API_VERSION "histrio.dev/v1alpha1"
#define SYSTEM_KIND "ActorSystem"

enum child_restart { RESTART_PERMANENT, RESTART_TRANSIENT, RESTART_TEMPORARY };
enum child_strategy { STRATEGY_ONE_FOR_ONE, STRATEGY_ONE_FOR_ALL, STRATEGY_REST_FOR_ONE };
enum child_isolation { ISOLATION_NODE, ISOLATION_SHARED, ISOLATION_GROUP, ISOLATION_PROCESS };
enum mailbox_overflow { OVERFLOW_WAIT, OVERFLOW_FAIL, OVERFLOW_DROP_OLDEST, OVERFLOW_DROP_NEWEST };
enum mailbox_on_restart { MAILBOX_KEEP, MAILBOX_DROP };
enum spread_kind { SPREAD_KUBE_NODE, SPREAD_ZONE, SPREAD_PACK };
enum store_kind { STORE_NONE, STORE_SQLITE, STORE_POSTGRESQL };
enum failure_policy { FAILURE_KEEP_RUNNING, FAILURE_LEADER_ONLY };

/* The names of the values above as manifests write them, in their order, ended by NULL. */
extern const char *const child_restart_names[];
extern const char *const child_strategy_names[];
extern const char *const child_isolation_names[];
extern const char *const mailbox_overflow_names[];
extern const char *const mailbox_on_restart_names[];
extern const char *const spread_kind_names[];
extern const char *const store_kind_names[];
extern const char *const failure_policy_names[];

struct label {
    char *key;
    char *value;
};

struct label_list {
    struct label *items;
    size_t count;
    size_t capacity;
};

/* The value under key, or NULL. */
const char *label_list_get(const struct label_list *labels, const char *key);
/* True when every label of wanted is in have. */
bool label_list_covers(const struct label_list *have, const struct label_list *wanted);
void label_list_add(struct label_list *labels, const char *key, const char *value);
void label_list_copy(struct label_list *to, const struct label_list *from);
void label_list_done(struct label_list *labels);

/* restarts in period: one more in the window ends the supervisor. */
struct intensity_spec {
    uint32_t restarts;
    int64_t period_ms;
};

/* The wait before a restart, doubled each time from initial up to max. */
struct backoff_spec {
    int64_t initial_ms; /* 0: none */
    int64_t max_ms;
};

struct supervisor_spec {
    enum child_strategy strategy;
    struct intensity_spec intensity;
    struct backoff_spec backoff;
};

struct mailbox_spec {
    uint32_t capacity; /* 0: unbounded, with muting */
    enum mailbox_overflow overflow;
    enum mailbox_on_restart on_restart;
};

#define SHUTDOWN_BRUTAL INT64_C(0)
#define SHUTDOWN_INFINITY INT64_C(-1)

/* An actor of a unit: the entry itself, or one of its children. */
struct child_spec {
    char *name;
    char *under;           /* the supervisor among the children that it is below; "": the entry */
    char *behavior_c;      /* "bank.teller"; both NULL: a supervisor */
    char *behavior_python; /* "bank:Teller" */
    uint8_t *arguments;    /* msgpack; size 0: nil */
    size_t arguments_size;
    enum child_restart restart;
    int64_t shutdown_ms; /* or SHUTDOWN_BRUTAL, SHUTDOWN_INFINITY */
    enum child_isolation isolation;
    struct mailbox_spec mailbox;
    bool is_supervisor;
    struct supervisor_spec
        supervisor; /* of supervisors; of an entry without children the limits for itself */
    unsigned line;  /* in the manifest; 0: unknown */
};

struct placement_spec {
    enum spread_kind spread;
    struct label_list kube_node_selector; /* labels that the KubeNode must have */
    struct label_list pin;                /* labels that the node must have; also the built-in
                                             node, index, kubeNode, zone */
    char *colocate_with;       /* an entry: on the node of its replica of the same number, else of any */
    VEC(char *) anti_affinity; /* entries: never on a KubeNode with a unit of them; may name itself */
    unsigned line;
};

struct keyed_spec {
    bool is_keyed;
    uint32_t shards;
    int64_t passivate_after_ms;
};

struct durable_spec {
    bool is_durable;
    uint32_t snapshot_every;
};

struct entry_spec {
    struct child_spec root;          /* is_supervisor when there are children */
    VEC(struct child_spec) children; /* flat, in start order */
    bool has_replicas;
    uint32_t replicas; /* 1 when !has_replicas */
    struct placement_spec placement;
    struct keyed_spec keyed;
    struct durable_spec state;
    size_t index; /* in spec.actors */
    unsigned line;
};

struct library_spec {
    char *library; /* "bank" */
    char *path;    /* as written */
    unsigned line;
};

/* Below a node's code folder: where the files of code.python.configMap are. */
#define CODE_PYTHON_FOLDER "python"

struct code_spec {
    VEC(struct library_spec) c;
    bool has_python;
    unsigned python_line;
    VEC(char *) python_path;
    VEC(char *) python_preload;
    char *python_config_map;
    uint32_t python_workers;
    int64_t python_handler_timeout_ms; /* 0: no limit */
    uint64_t python_memory_bytes;      /* of each worker process; 0: no limit */
    bool has_c_workers;                /* else what Python has of these holds for C, too */
    uint32_t c_worker_count;
    int64_t c_handler_timeout_ms;
    uint64_t c_memory_bytes;
};

struct nodes_spec {
    uint32_t replicas;
    char *image;               /* this and the next two: ignored by local runs */
    struct json *resources;    /* as written, or NULL */
    struct json *pod_template; /* as written, or NULL */
    uint32_t capacity_units;   /* at most so many units on a node; 0: any number */
    uint32_t update_max_surge;
    uint32_t update_max_unavailable;
    int64_t drain_timeout_ms;
    unsigned line;
};

struct supervision_spec {
    struct intensity_spec intensity;
    struct backoff_spec backoff;
};

struct state_spec {
    enum store_kind store;
    char *secret_name;
    bool delete_with_system;
    bool adopt;
};

struct failure_spec {
    int64_t node_lease_ms; /* the TTL of the failure model */
    int64_t suspend_for_ms;
    enum failure_policy policy;
};

struct system_spec {
    char *name;
    char *namespace;    /* NULL: none given */
    int64_t generation; /* grows with each change; 1 for a file */
    bool suspend;
    struct nodes_spec nodes;
    struct code_spec code;
    struct supervision_spec supervision;
    VEC(struct entry_spec) entries;
    struct state_spec state;
    struct failure_spec failure;
    _Atomic unsigned reference_count; /* private */
};

/* One reference, everything empty. */
struct system_spec *system_spec_new(void);
struct system_spec *system_spec_ref(struct system_spec *spec);
/* Frees at the last reference; NULL is fine. */
void system_spec_unref(struct system_spec *spec);

/* The entry of that name, or NULL. */
const struct entry_spec *system_spec_entry(const struct system_spec *spec, const char *name);

/* What a changed spec means for what runs. */
enum spec_change {
    SPEC_CHANGE_NONE = 0,
    SPEC_CHANGE_LIVE = 1 << 0,           /* replicas, intensity, placement, mailbox, failure */
    SPEC_CHANGE_RESTARTS_UNITS = 1 << 1, /* behavior, args, strategy, children: see unit_spec.hash */
    SPEC_CHANGE_ROLLS_NODES = 1 << 2,    /* image, resources, podTemplate, code */
    SPEC_CHANGE_REFUSED = 1 << 3,        /* keyed, keyed.shards, name: immutable */
};
/* The union of what differs. */
unsigned system_spec_compare(const struct system_spec *before, const struct system_spec *after);

#endif
