/* node/script.h: histrio-node --script FD: a node without operator, peers and gateway, for a program that
 * called histrio.local() (docs/host.md, Scripts). */
#ifndef NODE_SCRIPT_H
#define NODE_SCRIPT_H

/* Owns fd, one end of a stream socket pair; returns when the other end is closed, or on SIGTERM: an exit
 * code. */
int script_run(int fd);

#endif
