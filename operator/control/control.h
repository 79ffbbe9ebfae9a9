/* operator_control/control.h: the operator's Control streams, one a node, on a loop (and thread) of their
 * own, "control", which many systems may share.
 *
 * The loop's thread dials, checks hellos and answers lease requests by itself (R3), so that nothing that the
 * operator does can delay an echo. What else nodes say is handed over as events for the queue of whoever runs
 * the core, who applies them with control_event_apply(); what the core wants to be sent comes back through
 * control_send().
 *
 * Owner: the creator. Thread: one, the creator's, but for the listener. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct control;
struct control_event;
struct core;
struct core_action;
struct err;
struct rpc_creds;
struct rpc_loop;

/* What all systems of an operator share: until when this process may lead (R9), by clock_now_ms() of
 * clock_system(), written by whoever renews the Kubernetes Lease and read right before each echo and command;
 * and how many connections are being made at one time, as hundreds of handshakes at once take turns in each
 * of their steps, so that all end late and none in time. Zeroed: closed. Controls that share a gate share a
 * loop. */
struct control_gate {
    _Atomic int64_t until_ms; /* any thread; stands alone: relaxed */
    unsigned dials;           /* the loop's thread, as the next */
    struct list waiting;      /* sessions that wait for their turn to dial */
};

void control_gate_set(struct control_gate *gate, int64_t until_ms);
bool control_gate_is_open(const struct control_gate *gate); /* NULL: always */

struct control_config {
    const char *system;
    const char *system_uid;
    const uint8_t *credential;
    size_t credential_size;
    const char *software;     /* "histrio/0.1.0" */
    const char *code_folders; /* absolute, colon separated: what nodes may load from */
    /* Called on the loop's thread for each event, which it takes: it must only queue it. */
    void (*listener)(struct control_event *event, void *ctx);
    void *ctx;
    struct rpc_loop *loop;     /* borrowed, also by others; NULL: one of its own */
    struct control_gate *gate; /* borrowed; while closed no echo and no command leaves; NULL: open */
    struct rpc_creds *creds;   /* a reference is taken; NULL: plaintext, for Unix sockets. With creds
                                  only who proves to be a node of system_uid is taken for one, and the
                                  credential may be empty */
};

/* Strings are copied. Starts the loop's thread where it is given none. */
int control_new(const struct control_config *config, struct control **ret_control, struct err *err);

/* Connects to the node, whose Control service listens, or soon will, on `address` ("unix:..."), and keeps the
 * connection up until control_hang_up(). A second dial of a node begins anew: its runtime is another one. */
void control_dial(struct control *control, const char *node, const char *address);
void control_hang_up(struct control *control, const char *node);

/* The same, waiting: afterwards no echo is given to the node until it is dialled again. What happened before
 * is told by events that may still be in the owner's queue, so this comes before core_node_asserted(): else
 * the core could count a node out that was connected, and got an echo, a moment ago. Returns when the last
 * echo was given, by clock_now_ms(clock_system()); 0: never. */
int64_t control_hang_up_wait(struct control *control, const char *node);

/* Renewed certificates: for connections that are made from now on. */
void control_set_creds(struct control *control, struct rpc_creds *creds);

/* The term of all that is sent from now on, echoes included. Before it is set nobody is dialled. */
void control_set_term(struct control *control, uint32_t term);

/* Sends what one of the core's CORE_SEND_*, CORE_REQUEST_INVENTORY, CORE_ASSIGN, CORE_REVOKE and CORE_DRAIN
 * actions says; others are a mistake of the caller. Nobody connected under that uid: nothing happens, as a
 * lost message would not be answered either. */
void control_send(struct control *control, const struct core *core, const struct core_action *action);

/* Ends all streams and the thread. The listener is not called any more afterwards. */
void control_free(struct control *control);

/* ---- events ---- */

/* The first member of an event, for the owner's queue. */
struct list_node *control_event_link(struct control_event *event);
struct control_event *control_event_of_link(struct list_node *link);

/* Tells the core. False: there was something wrong with it that a log should show; text says what. */
bool control_event_apply(const struct control_event *event, struct core *core, const char **ret_text);
const char *control_event_node(const struct control_event *event);
/* Of an event that says that a node is disconnected: when the last echo was given to its uid, as above; 0:
 * never, or another event. */
int64_t control_event_last_echo_ms(const struct control_event *event);
void control_event_free(struct control_event *event);
