/* node/peers.h: hands what the operator says of peers to transport: between the structs of two modules that
 * do not know each other. Thread: the control loop's. */
#pragma once

#include "node_control/control.h"

struct transport;

struct node_control_peers peers_of(struct transport *transport);
