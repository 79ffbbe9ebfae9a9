/* rpc/loop.h: one completion queue of gRPC and the one thread that reads it.
 *
 * Everything of module rpc belongs to one loop: its callbacks run on the loop's thread, and its functions may
 * be called on that thread only, unless a function says "any thread". So users of rpc need no locks: they
 * keep their state on the loop's thread and let other threads talk to it by rpc_loop_post(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct rpc_loop;
struct rpc_timer;

/* Once, by main, before anything else of rpc and before there are threads: each loop polls its own
 * connections and no others. Else gRPC has one thread poll for all loops of the process, so that most events
 * wake one that they are not for, which then wakes the right one, and work of one loop waits for another's.
 * Each wait takes longer with the connections of its loop, so it is not for processes with thousands. Does
 * nothing when GRPC_POLL_STRATEGY is set. */
void rpc_poll_apart(void);

/* Starts the thread `name` (at most 15 characters). The first loop of a process initialises gRPC: no fork()
 * after it. */
int rpc_loop_new(const char *name, struct rpc_loop **ret_loop, struct err *err);

/* Any thread but the loop's own. All servers, clients and streams of the loop must be freed before (their
 * frees may still be under way: it drains the queue). Runs what was posted, joins the thread. NULL is fine.
 */
void rpc_loop_free(struct rpc_loop *loop);

/* Any thread. After each event the loop looks for the next one for so long before it sleeps; 0, the default:
 * not at all. Other threads that want the core get it. A round trip gets shorter by the time that a sleeping
 * thread needs to wake, for the price of the CPU meanwhile. Where that does not pay, as on a machine with too
 * little CPU, the loop gives it up by itself and tries again now and then. */
void rpc_loop_set_busy_poll(struct rpc_loop *loop, unsigned microseconds);

/* Any thread. `run(ctx)` is called once on the loop's thread, in the order of posts; posts before
 * rpc_loop_free() are always run. Costs one empty batch when the loop is idle; many posts in a burst share
 * one wake-up. */
void rpc_loop_post(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx);

/* Any thread. Posts and waits until it ran. Not on the loop's thread. */
void rpc_loop_call(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx);

bool rpc_loop_is_current(const struct rpc_loop *loop); /* any thread */

/* A one-shot timer, due in `delay_ms`; `run` is called on the loop's thread with the timer still allocated,
 * and may call rpc_timer_set() again. Not armed until set. rpc_timer_free() cancels; `run` is not called
 * after it. */
struct rpc_timer *rpc_timer_new(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx);
void rpc_timer_set(struct rpc_timer *timer, uint64_t delay_ms);
void rpc_timer_cancel(struct rpc_timer *timer);
void rpc_timer_free(struct rpc_timer *timer);
