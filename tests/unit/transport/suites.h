/* The files of this binary; each runs its own group. */
#pragma once

int router_suite(void);
int outgoing_suite(void);
int convert_suite(void);
int nodes_suite(void);
int faults_suite(void);
int runtime_suite(void);
