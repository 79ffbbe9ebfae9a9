/* A server and a client on real sockets, and probes: ends of streams that record what happens to them.
 *
 * Methods of the server: "/test.Service/Hand" hands the stream to the test (fixture_accept);
 * "/test.Service/Echo" sends each message back and finishes when the client has half-closed;
 * "/test.Service/Reverse" is unary;
 * "/test.Service/Refuse" is answered PERMISSION_DENIED. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mutex.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"

#define SYSTEM_UID "5b0c7d52-8a62-4c8e-9b36-3a2f0b9c1d10"
#define SERVER_NAME "node." SYSTEM_UID ".histrio.dev"
#define CLIENT_NAME "operator." SYSTEM_UID ".histrio.dev"

enum { PROBES_MAX = 256, PROBE_TEXT = 320, BURST = 5 };

enum transport { TRANSPORT_UNIX, TRANSPORT_TCP, TRANSPORT_TLS };

/* What a probe does beside recording. */
enum reaction {
    REACT_NOTHING,
    REACT_ECHO,          /* sends each message back; a server end finishes after the half-close */
    REACT_REVERSE,       /* unary: sends the bytes back in reverse order, finishes, frees */
    REACT_FREE,          /* frees the stream at the first message */
    REACT_FREE_AT_CLOSE, /* and at the end */
    REACT_BURST,         /* sends BURST numbered messages at once for each that comes */
    REACT_PAUSE,         /* pauses after each message */
    REACT_HAND_OVER,     /* at the first message makes a new probe the listener: fixture_accept() */
    REACT_REFILL,        /* writes until refused whenever it is writable */
};

struct fixture;

struct probe {
    struct fixture *fixture;
    struct rpc_loop *loop;
    struct rpc_stream *stream; /* owned by the loop's thread; NULL once freed */
    enum reaction reaction;
    bool is_server;
    struct mutex lock;
    struct condition changed;
    size_t messages; /* the rest is guarded by the lock */
    size_t bytes;
    size_t disorder; /* messages whose leading 32-bit number was not one more than the last */
    uint32_t last_number;
    char last[PROBE_TEXT];
    unsigned writable;
    unsigned idle;
    unsigned half_closed;
    unsigned closed;
    enum rpc_code code;
    char text[PROBE_TEXT];
    char peer[PROBE_TEXT];
};

struct fixture {
    enum transport transport;
    char folder[64];
    char address[128];              /* the server's, bound */
    struct rpc_creds *server_creds; /* NULL: plaintext */
    struct rpc_creds *client_creds;
    struct rpc_loop *server_loop;
    struct rpc_loop *client_loop;
    struct rpc_server *server;
    struct rpc_client *client;
    struct mutex lock;
    enum reaction hand_reaction; /* of probes made for Hand; guarded: fixture_set_hand_reaction() */
    struct condition changed;
    struct probe *accepted[PROBES_MAX]; /* by Hand, in order; guarded */
    size_t accepted_count;
    size_t accepted_taken;
    struct probe *probes[2 * PROBES_MAX]; /* all, freed by the teardown */
    size_t probe_count;
};

/* Configurations of a test; zero is the default. */
struct fixture_options {
    size_t message_bytes_max;
    size_t write_queue_bytes_max;
    size_t streams_max;
};

void fixture_start(struct fixture *fixture, enum transport transport, const struct fixture_options *options);
void fixture_stop(struct fixture *fixture); /* everything that is left */
void fixture_server_start(
    struct fixture *fixture, const struct fixture_options *options); /* at `address` when set */
void fixture_server_stop(struct fixture *fixture, uint32_t grace_ms);

/* In place of the present client, at the same address. `creds` NULL: plaintext. */
void fixture_connect(struct fixture *fixture, struct rpc_creds *creds, const char *server_name);

/* The next stream that Hand got; waits. */
/* Any thread; of the streams that come from now on. */
void fixture_set_hand_reaction(struct fixture *fixture, enum reaction reaction);
struct probe *fixture_accept(struct fixture *fixture);

struct probe *probe_open(struct fixture *fixture, const char *path, uint64_t timeout_ms, bool wait_for_ready,
    enum reaction reaction);

/* The same, and BURST numbered messages are written before the loop can send anything. */
struct probe *probe_open_burst(struct fixture *fixture, const char *path, enum reaction reaction);

int probe_write(struct probe *probe, const void *data, size_t size, struct err *err);
void probe_write_number(struct probe *probe, uint32_t number, size_t size); /* must be taken */
void probe_fill(struct probe *probe); /* writes 1 KiB at a time until refused */
void probe_half_close(struct probe *probe);
void probe_finish(struct probe *probe, enum rpc_code code, const char *text);
void probe_cancel(struct probe *probe);
void probe_free_stream(struct probe *probe);
void probe_pause(struct probe *probe, bool paused);
size_t probe_queued_bytes(struct probe *probe);

int64_t patience_deadline(void); /* for one wait */

/* Waits until the condition, over fields of *probe, holds. */
#define probe_wait(which, condition)                                                                         \
    do {                                                                                                     \
        struct probe *wait_probe_ = (which);                                                                 \
        int64_t wait_until_ = patience_deadline();                                                           \
        bool wait_holds_ = true;                                                                             \
        mutex_lock(&wait_probe_->lock);                                                                      \
        while (wait_holds_ && !(condition))                                                                  \
            wait_holds_ = condition_wait_until(&wait_probe_->changed, &wait_probe_->lock, wait_until_);      \
        wait_holds_ = (condition);                                                                           \
        mutex_unlock(&wait_probe_->lock);                                                                    \
        if (!wait_holds_)                                                                                    \
            fail_msg("waited in vain for %s", #condition);                                                   \
    } while (0)

/* A field of *probe while the loop may still change it. */
#define probe_read(which, field)                                                                             \
    __extension__({                                                                                          \
        struct probe *read_probe_ = (which);                                                                 \
        mutex_lock(&read_probe_->lock);                                                                      \
        __typeof__(read_probe_->field) read_value_ = read_probe_->field;                                     \
        mutex_unlock(&read_probe_->lock);                                                                    \
        read_value_;                                                                                         \
    })

/* The test groups, each run over both transports (hostile and address tests choose for themselves). */
extern const struct CMUnitTest loop_tests[];
extern const size_t loop_test_count;
extern const struct CMUnitTest stream_tests[];
extern const size_t stream_test_count;
extern const struct CMUnitTest server_tests[];
extern const size_t server_test_count;
extern const struct CMUnitTest client_tests[];
extern const size_t client_test_count;
extern const struct CMUnitTest hostile_tests[];
extern const size_t hostile_test_count;
extern const struct CMUnitTest health_tests[];
extern const size_t health_test_count;

extern const struct CMUnitTest tls_tests[];
extern const size_t tls_test_count;

enum transport test_transport(void); /* of the present run */
