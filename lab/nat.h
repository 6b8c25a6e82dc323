/*
 * What an access' router does to packets beside routing them: NAT, and the filters udp, icmp,
 * protocol-41 of a scenario.
 */
#ifndef FM_LAB_NAT_H
#define FM_LAB_NAT_H

#include "lab/world.h"

/* Writes the rules of one access for its current numbering; replaces those that are there. */
int fm_nat_install(struct fm_lab_world *w, int access);

/* The routers of this access forget every connection that they track. */
int fm_nat_forget(struct fm_lab_world *w, int access);

#endif
