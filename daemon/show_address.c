/*
 * The home addresses of a host as people see them, and those of its accesses that sockets may have:
 * type, life, how many sockets and which programs.
 */
#include <errno.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/host_commands.h"

#define INODES_MAX 64u	 /* sockets of an address whose programs are looked for */
#define PROGRAMS_MAX 16u /* named of an address */

/* The sockets of one address. */
struct users {
	unsigned sockets;
	size_t n;
	struct fm_proc_want wants[INODES_MAX];
};

static void add_socket(void *ctx, const struct fm_socket *s)
{
	struct users *u = ctx;

	u->sockets++;
	if (s->inode != 0 && u->n < INODES_MAX)
		u->wants[u->n++].inode = s->inode;
}

static bool is_named(const json_t *list, uint32_t pid)
{
	const json_t *program;
	size_t i;

	json_array_foreach(list, i, program) {
		if (json_integer_value(json_object_get(program, "pid")) == pid)
			return true;
	}
	return false;
}

static json_t *programs_json(struct fm_daemon *d, struct users *u)
{
	json_t *list = json_array();

	if (u->n == 0 || fm_proc_helper_find(&d->host->proc, u->wants, u->n) < 0)
		return list;
	for (size_t i = 0; i < u->n && json_array_size(list) < PROGRAMS_MAX; i++) {
		if (u->wants[i].pid != 0 && !is_named(list, u->wants[i].pid))
			json_array_append_new(list,
					      json_pack("{s:s, s:I}", "name", u->wants[i].name,
							"pid", (json_int_t)u->wants[i].pid));
	}
	return list;
}

/* Unconnected UDP sockets that only send have no address of their own: the hooks know them. */
static void add_users(struct fm_daemon *d, json_t *row, const struct fm_prefix *prefix,
		      const struct fm_ip *ip, bool has_programs)
{
	uint64_t counted = fm_host_sockets_count(d, ip);
	struct users u = { .sockets = 0 };

	(void)fm_sockets_in(&d->host->diag, prefix, add_socket, &u);
	json_object_set_new(row, "sockets",
			    json_integer((json_int_t)(counted > u.sockets ? counted : u.sockets)));
	if (has_programs)
		json_object_set_new(row, "programs", programs_json(d, &u));
}

static const char *state_of(const struct fm_address_status *s)
{
	if (s->state == FM_LEASE_HELD)
		return s->preferred_s > 0 ? "ready" : "deprecated";
	return s->state == FM_LEASE_REFUSED ? "refused" : "requested";
}

/* What a program that asked for it is told, in words. */
static const char *why_refused(const struct fm_address_status *s)
{
	switch (fm_host_words_errno(s)) {
	case ETIMEDOUT:
		return "no answer by the deadline";
	case EPROTONOSUPPORT:
		return "the anchor has no such type";
	case EACCES:
		return "the anchor does not allow that type to this host";
	case ENOBUFS:
		return "the anchor has none left for this host";
	default:
		return "the anchor refused it";
	}
}

static json_t *life_json(uint32_t s)
{
	return s == UINT32_MAX ? json_null() : json_integer(s);
}

static json_t *home_json(struct fm_daemon *d, const struct fm_address_status *s, bool has_programs)
{
	char prefix[FM_ADDRESS_TEXT_MAX];
	json_t *row = json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:i, s:b}", "type",
				fm_type_names[s->type], "prefix",
				fm_ip_is_none(&s->prefix.ip)
					? json_null()
					: json_string(fm_prefix_text(&s->prefix, prefix)),
				"address", fm_show_ip(&s->address), "state", state_of(s),
				"preferred_s", life_json(s->preferred_s), "valid_s",
				life_json(s->valid_s), "sockets", 0, "own", s->is_own);

	if (s->state == FM_LEASE_HELD)
		add_users(d, row, &s->prefix, &s->address, has_programs);
	if (s->state == FM_LEASE_REFUSED)
		json_object_set_new(row, "why", json_string(why_refused(s)));
	return row;
}

json_t *fm_show_addresses(struct fm_daemon *d, uint64_t now_us, bool has_programs)
{
	struct fm_address_status s;
	json_t *list = json_array();

	for (uint32_t i = 0; fm_host_address_status(&d->host->core, i, now_us, &s); i++)
		json_array_append_new(list, home_json(d, &s, has_programs));
	return list;
}

/* An access's own address, that sockets of type nonpersistent have or get. */
static json_t *access_json(struct fm_daemon *d, const struct fm_host_slot *slot)
{
	const struct fm_host_outcome o =
		fm_host_words_outcome(d, slot->type, fm_ip_is_v4(&slot->ip));
	bool is_current = o.state == FM_SOCK_READY &&
			  fm_ip_equal(&d->host->sockets.slots[o.slot].ip, &slot->ip);
	json_t *row = json_pack("{s:s, s:n, s:o, s:s, s:n, s:n, s:i, s:b, s:s}", "type",
				fm_type_names[slot->type], "prefix", "address",
				fm_show_ip(&slot->ip), "state", is_current ? "ready" : "deprecated",
				"preferred_s", "valid_s", "sockets", 0, "own", 0, "access",
				d->config->host.accesses[slot->access].name);

	add_users(d, row, &slot->prefix, &slot->ip, true);
	return row;
}

json_t *fm_host_command_address(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	json_t *list = fm_show_addresses(d, fm_now_us(), true), *refused = json_object();

	(void)client, (void)request;
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		const struct fm_host_slot *slot = &d->host->sockets.slots[i];

		if (slot->is_used && slot->type == FM_NONPERSISTENT)
			json_array_append_new(list, access_json(d, slot));
	}
	for (uint8_t type = 1; type < FM_TYPES_MAX; type++)
		json_object_set_new(refused, fm_type_names[type],
				    json_integer((json_int_t)fm_host_policy_refusals(d, type)));
	return json_pack("{s:o, s:o}", "addresses", list, "refused", refused);
}
