/* operator_control/control_private.h: what the files of this module share. */
#pragma once

#include "base/role.h"
#include "operator_control/control.h"
#include "wire/arena.h"

#include <stdatomic.h>

struct session;

enum {
    CONTROL_PROTOCOL_MIN = 1,
    CONTROL_PROTOCOL_MAX = 1,
    CONTROL_MESSAGE_MEMORY_BYTES = 64 * 1024 * 1024,
};

enum control_event_kind { CONTROL_CONNECTED, CONTROL_DISCONNECTED, CONTROL_MESSAGE, CONTROL_REFUSED };

struct control_event {
    struct list_node link;
    enum control_event_kind kind;
    char *node;
    uint64_t uid;
    char *text;           /* of CONTROL_REFUSED: why; else NULL */
    int64_t last_echo_ms; /* of CONTROL_DISCONNECTED; else 0 */
    /* Of a message and a hello: decoded, a Histrio__V1__NodeMessage, in the arena. */
    struct wire_arena arena;
    void *message;
};

/* Who we are, in every hello. */
struct control_identity {
    char *system;
    char *system_uid;
    uint8_t *credential;
    size_t credential_size;
    char *software;
};

struct control {
    struct rpc_loop *loop;
    bool owns_loop;
    struct control_identity identity;
    struct control_gate *gate; /* NULL: always open */
    struct rpc_creds *creds;   /* the loop's thread only, once others may know of us; NULL: plaintext */
    char server_name[ROLE_NAME_BYTES];
    char *code_folders;
    void (*listener)(struct control_event *event, void *ctx);
    void *ctx;
    atomic_uint
        term; /* 0: none yet. Written by the owner, read by the loop; nothing else hangs on it: relaxed */
    struct list sessions; /* the loop's thread only */
};

struct control_event *control_event_new(enum control_event_kind kind, const char *node, uint64_t uid);

/* ---- convert: the only files that see generated code ---- */

/* What the loop's thread needs to know of a message from a node. */
struct control_incoming {
    uint64_t node_uid;
    bool is_hello;
    bool is_lease;
    bool is_refused; /* the node will not have us: its highest term says why */
    uint64_t nonce;
};

/* Decodes into event->arena. */
int control_decode(const uint8_t *data, size_t size, struct control_event *event,
    struct control_incoming *ret_incoming, struct err *err);
/* ERR_DENIED: not a node of this run; ERR_INVALID: another protocol. */
int control_check_hello(const struct control_event *event, const struct control_identity *identity,
    const char *node, struct err *err);

/* Each returns a packed OperatorMessage that the caller frees. */
uint8_t *control_encode_hello(const struct control_identity *identity, uint32_t term, size_t *ret_size);
uint8_t *control_encode_echo(uint32_t term, uint64_t node_uid, uint64_t nonce, size_t *ret_size);
/* NULL: larger than a frame may be. */
uint8_t *control_encode_action(
    const struct core *core, const struct core_action *action, const char *code_folders, size_t *ret_size);

/* ---- session: one node's stream, on the loop's thread ---- */

struct session *session_new(struct control *control, const char *node, const char *address);
void session_free(struct session *session);
/* There is a term now. */
void session_has_term(struct session *session);
/* When the last echo was given, and the uid that got it; 0: none. */
int64_t session_last_echo_ms(const struct session *session);
const char *session_node(const struct session *session);
struct session *session_of_link(struct list_node *link);
/* Sends when this is the accepted stream of that uid; false when it is not. admits: it may have echoes now.
 */
bool session_send(struct session *session, uint64_t uid, const uint8_t *data, size_t size, bool admits);
