/*
 * What the files of the host's leases (host_lease*.c, host_address.c) share: one lease is moved by
 * events, and the table in host_lease.c says what each of them does in each state.
 */
#ifndef FM_CORE_HOST_LEASE_H
#define FM_CORE_HOST_LEASE_H

#include "core/host_inner.h"
#include "core/lease.h"

#define FM_INFINITE_S UINT32_MAX

enum fm_lease_event {
	FM_LEASE_ASKED,	   /* a program wants it */
	FM_LEASE_GRANTED,  /* the anchor gave or renewed it, or changed its life */
	FM_LEASE_DECLINED, /* the anchor refused it, or its renewal */
	FM_LEASE_GONE,	   /* the anchor has it no more */
	FM_LEASE_ENDED,	   /* its valid life is over */
	FM_LEASE_LATE,	   /* no answer by the deadline */
	FM_LEASE_AGAIN,	   /* time to renew it, or to ask again */
	FM_LEASE_IDLE,	   /* nobody has needed it for a while, or an order to give it back */
	FM_LEASE_EVENTS,
};

/* @odp: of the anchor: lifetimes and prefix (GRANTED), status (DECLINED); else NULL. */
void fm_host_lease_step(struct fm_host *h, struct fm_host_lease *l, enum fm_lease_event event,
			const struct fm_odp *odp, uint64_t now_us);

struct fm_host_lease *fm_host_lease_find(struct fm_host *h, uint16_t pid);
/* The one of its type that is not replaced: asked for, held or refused; NULL: none. */
struct fm_host_lease *fm_host_lease_of_type(struct fm_host *h, uint8_t type);
/* Asks for a prefix that was never held, under a new PID (§14.4). NULL: all places are taken. */
struct fm_host_lease *fm_host_lease_want(struct fm_host *h, uint8_t type);
/* May one more be own? The types keep their places. */
bool fm_host_lease_has_room(const struct fm_host *h);
/* Its type gets a successor; false: no room for one. */
bool fm_host_lease_replace(struct fm_host *h, struct fm_host_lease *l);
/* Says it in the next binding updates, until one that had it is answered. */
void fm_host_lease_make_due(struct fm_host_lease *l);
uint32_t fm_host_lease_lifetime_s(const struct fm_host *h, const struct fm_host_lease *l);
/* An anchor without on-demand prefixes: the registration address instead (§14.7). */
void fm_host_lease_borrow_hoa(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us);
/* A program uses a lease of the type: then it has one for new sockets, too. */
bool fm_host_lease_is_in_use(const struct fm_host *h, uint8_t type);
bool fm_host_lease_is_kept_ready(const struct fm_host *h, uint8_t type); /* by configuration */
bool fm_host_lease_is_kept(const struct fm_host *h, const struct fm_host_lease *l);
bool fm_host_lease_is_needed(const struct fm_host *h, const struct fm_host_lease *l);
void fm_host_lease_forget(struct fm_host *h, struct fm_host_lease *l); /* its place is free */

/* host_lease_time.c: chooses what new sockets get. */
void fm_host_lease_choose(struct fm_host *h);

/* Seconds left; FM_INFINITE_S: without end. */
uint32_t fm_host_left_s(uint64_t end_us, uint64_t now_us);

/* host_address.c */
bool fm_host_lease_is_valid(const struct fm_host_lease *l, uint64_t now_us);
/* Tells fm0 about its address. */
void fm_host_lease_show(struct fm_host *h, const struct fm_host_lease *l, uint64_t now_us);
void fm_host_lease_hide(struct fm_host *h, struct fm_host_lease *l);
/* The registration address is on fm0 where it may carry user packets (§14.2, §14.7). */
void fm_host_address_serve_hoa(struct fm_host *h);

#endif
