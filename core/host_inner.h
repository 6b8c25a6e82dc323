/*
 * What the files of the mobile node share among themselves; callers of the role use host.h.
 */
#ifndef FM_CORE_HOST_INNER_H
#define FM_CORE_HOST_INNER_H

#include "core/event.h"
#include "core/host.h"

#define FM_NEVER UINT64_MAX
#define FM_SECOND_US 1000000ull

static inline uint64_t fm_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t fm_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Sequence numbers: is @a newer than @b? RFC 6275 §9.5.1. */
static inline bool fm_is_newer(uint16_t a, uint16_t b)
{
	return (int16_t)(a - b) > 0;
}

static inline uint16_t fm_host_bid(uint8_t access)
{
	return (uint16_t)(access + 1);
}

/* @access: FM_NO_ACCESS: of none of them. */
void fm_host_tell(struct fm_host *h, enum fm_event_id id, uint8_t access, int32_t detail);

/* host_path.c: accesses as paths. */
bool fm_host_has_path(const struct fm_host *h, uint8_t access, uint64_t now_us);
enum fm_rank fm_host_rank(const struct fm_host *h, uint8_t access, uint64_t now_us);
/* Best access with a living path that is not in @skip; FM_NO_ACCESS: none. */
uint8_t fm_host_carrier(const struct fm_host *h, uint16_t skip, uint64_t now_us);
/*
 * Notes what changed since the last time, and chooses paths anew. Returns when it wants to do so
 * again.
 */
uint64_t fm_host_steer(struct fm_host *h, uint64_t now_us);

/* registration.c: binding updates. */
void fm_registration_run(struct fm_host *h, uint64_t now_us);
uint64_t fm_registration_due_us(const struct fm_host *h, uint64_t now_us);
int fm_registration_answer(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			   const struct fm_octets *mh, uint64_t now_us);
/* Somebody waits: what is due need not wait for the whole back-off. */
void fm_registration_hurry(struct fm_host *h, uint64_t now_us);
/* The access went, came, or changed its address. */
void fm_registration_access(struct fm_host *h, uint8_t access, uint64_t now_us);
void fm_registration_died(struct fm_host *h, uint8_t access, uint64_t now_us);
void fm_registration_leave(struct fm_host *h, uint64_t now_us);
/* Registers everything anew, leases and flows too: the anchor may have forgotten us. */
void fm_registration_renew(struct fm_host *h, uint64_t now_us);
void fm_registration_stop(struct fm_host *h, int32_t status, uint64_t now_us);

/* host_update.c: one binding update, from the state of the host to octets. */
void fm_host_update_send(struct fm_host *h, enum fm_job job, uint8_t access, uint16_t removed,
			 uint64_t now_us);

struct fm_via fm_host_update_via(const struct fm_host *h,
				 uint8_t access); /* from an access to the anchor */

/* host_reaction.c: what the host does on each status of a binding acknowledgement. */
void fm_host_reaction_take(struct fm_host *h, uint8_t access, const struct fm_msg *m,
			   uint8_t status, uint64_t now_us);

/* host_lease_time.c: the life of on-demand prefixes. */
uint64_t fm_host_lease_wake(struct fm_host *h, uint64_t now_us);
void fm_host_lease_end(struct fm_host *h);

/* host_lease_wire.c: on-demand prefixes in binding updates and their answers. */
bool fm_host_lease_is_due(const struct fm_host *h);
/* Of the vendor-specific options that are ours. */
uint32_t fm_host_vendor_id(const struct fm_host *h);
void fm_host_lease_put(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent,
		       uint64_t now_us);
void fm_host_lease_take(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent,
			uint64_t now_us);
void fm_host_lease_renew(struct fm_host *h);
/* The anchor is to hear which leases are kept: the others end (digest §14.5). */
void fm_host_lease_tell_set(struct fm_host *h);

/* host_address.c: what is on fm0; the registration address and the IPv4 home address there. */
void fm_host_address_show(struct fm_host *h, uint64_t now_us); /* all that is valid */
uint8_t fm_host_address_prefixes(const struct fm_host *h, uint64_t now_us, struct fm_prefix *out);
void fm_host_address_take_ipv4(struct fm_host *h, const struct fm_msg *m,
			       const struct fm_host_sent *sent, uint64_t now_us);
void fm_host_address_drop_ipv4(struct fm_host *h);
void fm_host_address_drop_hoa(struct fm_host *h); /* before the registration address changes */

/* host_path.c: what was chosen: nothing yet; or as far as it stands under another configuration. */
void fm_host_path_forget(struct fm_host *h);
void fm_host_path_reconfigure(struct fm_host *h, const struct fm_host_conf *conf);

/* host_rule.c: all rules, in their order, into the data path's. */
void fm_host_rule_put(const struct fm_host *h, uint64_t now_us, struct fm_forwarding *out);

/* host_flow.c: moved flows and flow bindings. */
bool fm_host_flow_is_due(const struct fm_host *h);
void fm_host_flow_put(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent, bool is_full);
void fm_host_flow_take(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent);
void fm_host_flow_renew(struct fm_host *h);
/* After a start: what was bound to an access that did not come back. */
void fm_host_path_sift(struct fm_host *h, uint64_t now_us);
void fm_host_flow_access_lost(struct fm_host *h, uint8_t access);
uint64_t fm_host_flow_wake(struct fm_host *h, uint64_t now_us);
void fm_host_flow_pin_all(struct fm_host *h);
void fm_host_flow_end_all(struct fm_host *h);
struct fm_host_flow *fm_host_flow_find(struct fm_host *h, uint16_t fid);
/* A flow binding that the anchor made (RFC 7109 §5); NULL: no room. */
struct fm_host_flow *fm_host_flow_adopt(struct fm_host *h, uint16_t fid, uint16_t priority,
					const struct fm_selector *selector, uint8_t access);
void fm_host_flow_send_over(struct fm_host *h, struct fm_host_flow *f, uint8_t access);
void fm_host_flow_drop(struct fm_host *h, struct fm_host_flow *f);
/* Those of FID-PRI @from to @to, in their order, at most @room. Return: how many. */
uint8_t fm_host_flow_rules(const struct fm_host *h, uint16_t from, uint16_t to, struct fm_rule *out,
			   uint8_t room);
struct fm_host_flow *fm_host_flow_take_place(struct fm_host *h); /* NULL: no room */
/* The lowest free FID; 0: none (D35), or the anchor knows no flow bindings. */
uint16_t fm_host_flow_free_fid(struct fm_host *h);
/* The anchor wants no flow binding of it: it is not asked again. */
void fm_host_flow_forget_fid(struct fm_host *h, struct fm_host_flow *f, uint8_t status);

/*
 * host_flow_rule.c: flow bindings of steering rules. The anchor's FID-PRI says where its rules
 * stand among them: below FM_HOST_PRI_RULES it is administrative, from FM_HOST_PRI_ORDINARY on
 * behind.
 */
#define FM_HOST_PRI_FINAL 1u /* and the rule's place */
#define FM_HOST_PRI_ADMIN 40u
#define FM_HOST_PRI_INSTEAD 800u /* of a rule that the operator overrules */
#define FM_HOST_PRI_RULES 1000u	 /* and the rule's place */
#define FM_HOST_PRI_ORDINARY 2000u
uint16_t fm_host_flow_rule_priority(const struct fm_host *h, uint8_t i);
/* Is there a rule before @priority that claims flows by more than a selector? */
bool fm_host_flow_rule_hides(const struct fm_host *h, uint16_t priority);
/* Does a rule before @priority claim all of @selector (seen from the anchor) already? */
bool fm_host_flow_rule_claims(const struct fm_host *h, uint16_t priority,
			      const struct fm_selector *selector);
void fm_host_flow_rule_sync(struct fm_host *h);
void fm_host_flow_rule_retry(struct fm_host *h); /* also what the anchor refused */

/*
 * host_indication.c: what the anchor asks for: refresh, revocation; hints; what is not for a host.
 */
int fm_host_indication_refresh(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			       const struct fm_octets *mh, uint64_t now_us);
int fm_host_indication_revoke(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			      const struct fm_octets *mh, uint64_t now_us);
int fm_host_indication_hint(struct fm_host *h, const struct fm_msg *m, uint64_t now_us);
int fm_host_indication_refuse(struct fm_host *h, const struct fm_via *via, uint64_t now_us);
/* Signs and sends an answer over the access that @via came by. */
void fm_host_indication_answer(struct fm_host *h, const struct fm_via *via, struct fm_msg *m);

/* host_flow_indication.c: flow bindings that the anchor makes or changes (RFC 7109). */
int fm_host_flow_indication_take(struct fm_host *h, const struct fm_via *via,
				 const struct fm_msg *m, const struct fm_octets *mh,
				 uint64_t now_us);
/* Flow options with actions, whatever message brings them: all or nothing, then all of them. */
uint8_t fm_host_flow_indication_judge(struct fm_host *h, const struct fm_msg *m);
void fm_host_flow_indication_apply(struct fm_host *h, const struct fm_msg *m, uint64_t now_us);

/* host_notify.c: Update Notifications (RFC 7077). */
int fm_host_notify_take(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			const struct fm_octets *mh, uint64_t now_us);

/* host_record.c */
void fm_host_save(struct fm_host *h, uint64_t now_us);

/* Does one of the host's associations stand behind this message? Return as fm_host_receive(). */
int fm_host_check(const struct fm_host *h, const struct fm_msg *m, const struct fm_octets *mh,
		  const struct fm_ip *coa);

/* Forms a registration address in the anchor's /64, digest §14.2. */
void fm_host_form_address(struct fm_host *h);

#endif
