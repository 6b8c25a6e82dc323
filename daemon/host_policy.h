/*
 * Host policy for the `sock` programs: verdicts on who may ask for which type, types of programs
 * that ask for none, and programs under `flowmob run` (RFC 8653 §3.4, §5).
 */
#ifndef FM_DAEMON_HOST_POLICY_H
#define FM_DAEMON_HOST_POLICY_H

#include "daemon/daemon.h"
#include "daemon/host_cgroups.h"
#include "daemon/people.h"
#include "daemon/who.h"
#include "datapath/sock_maps.h"
#include "net/proc.h"

#define FM_REFUSED_MAX 64u     /* users and programs whose refusals are told once each */
#define FM_RUNS_MAX 16u	       /* programs under `flowmob run` at once */
#define FM_NETWORK_FID 0x8000u /* first FID that an anchor gives (digest D32) */
#define FM_RUN_RULE 1000u      /* number of the first one's steering rule; the file's are below */

/**
 * struct fm_host_run - one `flowmob run`: what lives in its cgroup gets that type
 * @cgroup: path below the mount; "": this place is free
 * @allowed: types that its sockets may ask for: bit 1 << type
 * @uid:     whose it is: an own address is of that user's share
 * @request: own address, by this id of fm_sock_answer(); 0: that of the type
 * @prefix:  of the own address, once it is there
 * @via:    only over these accesses, best first; n_via 0: as the rules say
 * @client: waits for the address until @until_us; NULL: does not wait any more
 */
struct fm_host_run {
	char cgroup[FM_PROC_PATH];
	uint64_t cgroup_id;
	uint8_t type, allowed;
	uint32_t uid;
	uint64_t request, until_us;
	struct fm_prefix prefix;
	uint8_t n_via, via[FM_ACCESSES_MAX];
	struct fm_client *client;
};

/* Told: @types, bit 1 << type, were refused to @uid, or to that program of theirs. */
struct fm_host_refused {
	uint32_t uid, exe_dev;
	uint64_t exe_ino;
	uint8_t types;
};

/**
 * struct fm_host_policy - what runs, and what was refused
 * @looked_us: when it was last looked who has ended
 * @refusals: by policy of this host, by type, but for those that the `sock` programs count;
 * @refused: who has been told of, the last ones
 * @words:   what rules of flows ask of senders
 * @people:  whom all that names; @people_stamp: of the databases that they were read from
 * @is_touched: a sender's classes are others now: flows are to choose again
 */
struct fm_host_policy {
	struct fm_host_run runs[FM_RUNS_MAX];
	uint64_t last_request, looked_us, refusals[FM_TYPES_MAX];
	uint32_t n_refused;
	struct fm_host_refused refused[FM_REFUSED_MAX];
	struct fm_host_cgroups cgroups;
	struct fm_who_words words;
	struct fm_people people;
	uint64_t people_stamp;
	bool is_touched;
};

/* The configuration, or accounts, changed: verdicts of before are stale. 0 or -errno. */
int fm_host_policy_apply(struct fm_daemon *d);

/**
 * fm_host_policy_classes() - what rules of flows ask of senders from now on, all of it
 * @bits: filled: bit of each of the @n words in struct fm_rule's need and in fm_sender_classes()
 * A word that stays keeps its bit over reloads, so what was said of sockets holds until it is said
 * anew. At the start before fm_host_sockets_open(), later before fm_host_policy_apply().
 * Return: 0; -ENOSPC: more than FM_WHO_WORDS_MAX different words, and nothing changed.
 */
int fm_host_policy_classes(struct fm_daemon *d, const struct fm_conf_owner *words, uint32_t n,
			   uint8_t *bits);

/* Does some owner word, of a type, a program or a rule, have one of these kinds? */
bool fm_host_policy_has_kind(const struct fm_daemon *d, uint8_t kinds);

/* Each turn: flows choose again where something new is known of their senders. */
void fm_host_policy_turn(struct fm_daemon *d);

/* FM_SOCK_EVENT_WHO: a verdict is wanted. */
void fm_host_policy_who(struct fm_daemon *d, const struct fm_sock_event *e);

/* Puts the steering rules of what runs in front of those of the configuration. */
struct fm_host_conf;
void fm_host_policy_rules(const struct fm_daemon *d, struct fm_host_conf *conf);

/* Is its cgroup still the one that was made for it, with somebody in it? */
bool fm_host_policy_is_there(const struct fm_host_run *r);

/* Is it the cgroup of a run, or below one? */
bool fm_host_policy_is_run(const struct fm_daemon *d, const char *cgroup);

/* Policy of this host did not give @who that type: counted, and told once for each. */
void fm_host_policy_refused(struct fm_daemon *d, const struct fm_sock_who *who, uint8_t type,
			    const char *reason);
/* FM_SOCK_EVENT_REFUSED: counted already. */
void fm_host_policy_forbade(struct fm_daemon *d, const struct fm_sock_event *e);
/* How often it was refused, in all ways. */
uint64_t fm_host_policy_refusals(const struct fm_daemon *d, uint8_t type);

/* Does a running program keep the address of this type, sockets or not? */
bool fm_host_policy_keeps(const struct fm_daemon *d, uint8_t type);

/* Something changed, or a second went by: answers who waits, forgets what has ended. */
void fm_host_policy_look(struct fm_daemon *d, uint64_t now_us);

/* The client that waits is no more: so is its program. */
void fm_host_policy_gone(struct fm_daemon *d, const struct fm_client *client);

/* `flowmob run`: answers when the address is there. */
json_t *fm_host_command_run(struct fm_daemon *d, struct fm_client *client, json_t *request);

#endif
