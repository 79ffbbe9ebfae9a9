#ifndef UNIT_KUBE_WATCH_SUITES_H
#define UNIT_KUBE_WATCH_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct kube_follower_counts;

int store_suite(void);
int workqueue_suite(void);
int watch_suite(void);
int reflector_suite(void);
int follower_suite(void);
int follower_sim_suite(void);
int election_suite(void);
int election_sim_suite(void);
int event_suite(void);
int informer_suite(void);
int lease_suite(void);
int recorder_suite(void);
/* One seed of the simulations. */
void follower_sim_run(uint64_t seed, struct kube_follower_counts *ret_counts);
void election_sim_run(uint64_t seed, int *ret_terms, int64_t *ret_led_ms);

#endif
