/* The tests of the supervision machine, run by main.c of this folder. cmocka.h comes first. */
#ifndef UNIT_ACTOR_SUPERVISION_TEST_H
#define UNIT_ACTOR_SUPERVISION_TEST_H

extern const struct CMUnitTest supervision_tests[];
extern const size_t supervision_test_count;

#endif
