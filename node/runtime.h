/* node/runtime.h: one life of a node: assembles actor runtime, transport, gateway and control, and takes them
 * down again.
 *
 * Start: crash handler, loops "control" and "link", actor runtime, link and gateway server, then the Control
 * server: who reaches Control finds a whole node. Stop, by SIGTERM, SIGINT or the operator's Drain: units
 * stop in order, Control says Drained, then servers, transport and runtime go. Exit codes: 0 drained, 75
 * fenced (the operator declared our uid dead: nothing of ours may leave any more, so nothing is flushed), 78
 * bad configuration, 1 any other failure to start. */
#pragma once

struct environment;

/* Returns the exit code of the process. Main thread. Logs JSON lines on stdout. */
int runtime_run(const struct environment *environment);
