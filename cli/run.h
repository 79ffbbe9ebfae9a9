/* cli/run.h: `histrio run`. */
#pragma once

/* $HISTRIO_NODE_PROGRAM, else histrio-node beside this program. The caller frees it. */
char *run_node_program(void);
