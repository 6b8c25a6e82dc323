/*
 * The file of programs under `flowmob run`: one array, written anew with each change.
 */
#include "daemon/host_runs.h"

#include <stdio.h>
#include <string.h>

#include "daemon/conf_value.h"
#include "daemon/host.h"
#include "daemon/host_policy.h"
#include "daemon/new_file.h"
#include "daemon/role.h"
#include "datapath/sock.h"
#include "net/route.h"

#define FILE_NAME "runs.json"

static json_t *write_via(const struct fm_daemon *d, const struct fm_host_run *r)
{
	json_t *via = json_array();

	for (uint8_t i = 0; i < r->n_via; i++)
		json_array_append_new(via, json_string(d->config->host.accesses[r->via[i]].name));
	return via;
}

static json_t *write_run(const struct fm_daemon *d, const struct fm_host_run *r)
{
	char prefix[FM_ADDRESS_TEXT_MAX] = "";

	if (r->prefix.len > 0)
		(void)fm_prefix_text(&r->prefix, prefix);
	return json_pack("{s:s, s:I, s:i, s:i, s:I, s:I, s:i, s:o, s:s}", "cgroup", r->cgroup,
			 "cgroup_id", (json_int_t)r->cgroup_id, "type", r->type, "allowed",
			 r->allowed, "uid", (json_int_t)r->uid, "request", (json_int_t)r->request,
			 "pid", fm_host_words_own_pid(d, r->request), "via", write_via(d, r),
			 "prefix", prefix);
}

static int write_file(const struct fm_daemon *d, const json_t *all)
{
	struct fm_new_file n;
	int ret = fm_new_file_begin(&n, d->options.run, FILE_NAME);

	if (ret < 0)
		return ret;
	(void)json_dumpf(all, n.f, JSON_COMPACT);
	return fm_new_file_end(&n, FM_OUTLIVES_DAEMON);
}

void fm_host_runs_save(struct fm_daemon *d)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		const struct fm_host_run *r = &d->host->policy.runs[i];

		if (r->cgroup[0] != '\0' && !r->client)
			json_array_append_new(all, write_run(d, r));
	}
	fm_role_told(d, FM_DAEMON_EVENT_TYPES_OFF, FILE_NAME, write_file(d, all));
	json_decref(all);
}

static void read_via(const struct fm_daemon *d, const json_t *via, struct fm_host_run *r)
{
	json_t *name;
	size_t i;

	json_array_foreach(via, i, name) {
		int access = json_is_string(name) ? fm_host_access_named(d, json_string_value(name))
						  : -1;

		if (access >= 0 && r->n_via < FM_ACCESSES_MAX)
			r->via[r->n_via++] = (uint8_t)access;
	}
}

/* false: not ours, or its cgroup is gone. */
static bool read_run(struct fm_daemon *d, const json_t *from, struct fm_host_run *r)
{
	const char *cgroup = json_string_value(json_object_get(from, "cgroup")),
		   *prefix = json_string_value(json_object_get(from, "prefix"));
	json_int_t type = json_integer_value(json_object_get(from, "type"));

	*r = (struct fm_host_run){ 0 };
	if (!cgroup || !prefix || type <= 0 || type >= FM_SOCK_TYPES)
		return false;
	(void)snprintf(r->cgroup, sizeof(r->cgroup), "%s", cgroup);
	r->cgroup_id = (uint64_t)json_integer_value(json_object_get(from, "cgroup_id"));
	r->type = (uint8_t)type;
	r->allowed = (uint8_t)json_integer_value(json_object_get(from, "allowed"));
	r->uid = (uint32_t)json_integer_value(json_object_get(from, "uid"));
	r->request = (uint64_t)json_integer_value(json_object_get(from, "request"));
	read_via(d, json_object_get(from, "via"), r);
	(void)fm_value_prefix(prefix, &r->prefix);
	return fm_host_policy_is_there(r);
}

static void take(struct fm_daemon *d, const json_t *from, struct fm_host_run *r)
{
	struct fm_host_policy *p = &d->host->policy;
	uint64_t number;

	if (!read_run(d, from, r)) {
		*r = (struct fm_host_run){ 0 };
		return;
	}
	if (r->request)
		fm_host_words_own_again(d, r->request, r->type,
					(uint16_t)json_integer_value(json_object_get(from, "pid")));
	number = r->request & ~FM_SOCK_REQUEST_DAEMON;
	if (number > p->last_request)
		p->last_request = number;
}

int fm_host_runs_load(struct fm_daemon *d)
{
	char path[PATH_MAX];
	json_t *all = fm_new_file_path(d->options.run, FILE_NAME, path) == 0
			      ? json_load_file(path, 0, NULL)
			      : NULL;
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one) {
		if (i < FM_RUNS_MAX)
			take(d, one, &d->host->policy.runs[i]);
	}
	json_decref(all);
	return 0;
}
