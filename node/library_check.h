/* node/library_check.h: loads one behavior library as a node would and says what is in it: `histrio-node
 * --check-library NAME PATH`. `histrio run` starts it for each library of a manifest before anything else, so
 * that a library that does not load, or that crashes when it is loaded, harms nobody. */
#pragma once

/* stdout: "behavior bank.teller" a line each, or "error TEXT". Returns the exit code: 0, or 1 with an error.
 */
int library_check_run(const char *name, const char *path);
