#ifndef UNIT_KUBE_WATCH_SUITES_H
#define UNIT_KUBE_WATCH_SUITES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int store_suite(void);
int workqueue_suite(void);

#endif
