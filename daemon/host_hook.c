/*
 * Runs the programs that configuration names for changes of addresses.
 */
#include "daemon/host_hook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"

#define PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/**
 * struct fm_hook_run - one program that runs
 * @handles: of libuv, to be closed before it is freed
 */
struct fm_hook_run {
	uv_process_t process;
	uv_timer_t limit;
	struct fm_daemon *d;
	struct fm_hook_job job;
	bool is_late;
	int handles;
};

static void start_next(struct fm_daemon *d, uint8_t type);

static void tell(struct fm_daemon *d, const struct fm_hook_job *job, const char *reason)
{
	char text[FM_ADDRESS_TEXT_MAX];

	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_HOOK_FAILED], reason,
		      json_pack("{s:s, s:s, s:s}", "type", fm_type_names[job->about.type],
				"address", fm_address_text(&job->about.ip, text), "hook",
				d->config->host.types[job->about.type].hook));
}

static void on_closed(uv_handle_t *handle)
{
	struct fm_hook_run *r = handle->data;

	if (--r->handles == 0)
		free(r);
}

static void end(struct fm_hook_run *r)
{
	uv_close((uv_handle_t *)&r->process, on_closed);
	uv_close((uv_handle_t *)&r->limit, on_closed);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
	struct fm_hook_run *r = process->data;
	struct fm_daemon *d = r->d;
	uint8_t type = r->job.about.type;
	char reason[64];

	if (r->is_late)
		snprintf(reason, sizeof(reason), "did not end within %u s", FM_HOOK_LIMIT_S);
	else if (signal)
		snprintf(reason, sizeof(reason), "ended by signal %d", signal);
	else
		snprintf(reason, sizeof(reason), "exit code %d", (int)status);
	if (r->is_late || signal || status)
		tell(d, &r->job, reason);
	end(r);
	d->host->hooks.queues[type].run = NULL;
	start_next(d, type);
}

/* It leads a session of its own: what it started ends with it. */
static void on_limit(uv_timer_t *timer)
{
	struct fm_hook_run *r = timer->data;

	r->is_late = true;
	(void)kill(-r->process.pid, SIGKILL);
}

static int spawn(struct fm_hook_run *r, const char *hook)
{
	char address[FM_ADDRESS_TEXT_MAX], prefix[FM_ADDRESS_TEXT_MAX], words[3][128], type[64];
	const char *event = r->job.is_release ? "released" : "assigned";
	char *args[] = { (char *)hook, NULL };
	char *env[] = { (char *)PATH, words[0], type, words[1], words[2], NULL };
	uv_stdio_container_t files[] = { { .flags = UV_IGNORE },
					 { .flags = UV_IGNORE },
					 { .flags = UV_INHERIT_FD, .data.fd = 2 } };
	uv_process_options_t options = { .exit_cb = on_exit_of,
					 .file = hook,
					 .args = args,
					 .env = env,
					 .flags = UV_PROCESS_DETACHED,
					 .stdio_count = 3,
					 .stdio = files };

	snprintf(words[0], sizeof(words[0]), "FLOWMOB_EVENT=%s", event);
	snprintf(type, sizeof(type), "FLOWMOB_TYPE=%s", fm_type_names[r->job.about.type]);
	snprintf(words[1], sizeof(words[1]), "FLOWMOB_ADDRESS=%s",
		 fm_address_text(&r->job.about.ip, address));
	snprintf(words[2], sizeof(words[2]), "FLOWMOB_PREFIX=%s",
		 fm_prefix_text(&r->job.about.prefix, prefix));
	return uv_spawn(&r->d->loop, &r->process, &options);
}

static struct fm_hook_run *make_run(struct fm_daemon *d, const struct fm_hook_job *job)
{
	struct fm_hook_run *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->d = d;
	r->job = *job;
	r->handles = 2;
	(void)uv_timer_init(&d->loop, &r->limit);
	r->limit.data = r->process.data = r;
	return r;
}

/* Return: whether it runs; a program that is not there is told like one that fails. */
static bool start(struct fm_daemon *d, const struct fm_hook_job *job)
{
	struct fm_hook_run *r = make_run(d, job);
	int err = r ? spawn(r, d->config->host.types[job->about.type].hook) : -ENOMEM;

	if (err < 0) {
		tell(d, job, strerror(-err));
		if (r)
			end(r);
		return false;
	}
	(void)uv_timer_start(&r->limit, on_limit, 1000u * FM_HOOK_LIMIT_S, 0);
	d->host->hooks.queues[job->about.type].run = r;
	return true;
}

static void start_next(struct fm_daemon *d, uint8_t type)
{
	struct fm_hook_queue *q = &d->host->hooks.queues[type];

	while (q->n > 0 && !q->run) {
		struct fm_hook_job job = q->waiting[q->first];

		q->first = (q->first + 1) % FM_HOOK_WAITING_MAX;
		q->n--;
		if (d->config->host.types[type].hook[0])
			(void)start(d, &job);
	}
}

static void put(struct fm_daemon *d, const struct fm_hook_address *about, bool is_release)
{
	struct fm_hook_queue *q = &d->host->hooks.queues[about->type];
	struct fm_hook_job job = { .is_release = is_release, .about = *about };

	if (!d->config->host.types[about->type].hook[0])
		return;
	if (q->n == FM_HOOK_WAITING_MAX) {
		tell(d, &job, "too many wait for it");
		return;
	}
	q->waiting[(q->first + q->n++) % FM_HOOK_WAITING_MAX] = job;
	start_next(d, about->type);
}

/* What the host has now. Returns how many. */
static uint32_t look(const struct fm_daemon *d, struct fm_hook_address out[FM_HOOK_KNOWN_MAX])
{
	struct fm_address_status s;
	uint64_t now_us = fm_now_us();
	uint32_t n = 0;

	for (uint32_t i = 0;
	     n < FM_HOOK_KNOWN_MAX && fm_host_address_status(&d->host->core, i, now_us, &s); i++) {
		if (s.state == FM_LEASE_HELD && s.valid_s > 0 && s.type < FM_TYPES_MAX &&
		    !fm_ip_is_none(&s.address))
			out[n++] = (struct fm_hook_address){ s.type, s.address, s.prefix };
	}
	return n;
}

static bool has(const struct fm_hook_address *list, uint32_t n, const struct fm_hook_address *a)
{
	for (uint32_t i = 0; i < n; i++) {
		if (list[i].type == a->type && fm_ip_equal(&list[i].ip, &a->ip))
			return true;
	}
	return false;
}

int fm_host_hooks_open(struct fm_daemon *d)
{
	struct fm_host_hooks *h = &d->host->hooks;

	h->n_known = look(d, h->known);
	return 0;
}

/* New ones first: where one takes another's place there is never none. */
void fm_host_hooks_turn(struct fm_daemon *d)
{
	struct fm_host_hooks *h = &d->host->hooks;
	struct fm_hook_address now[FM_HOOK_KNOWN_MAX];
	uint32_t n = look(d, now);

	for (uint32_t i = 0; i < n; i++) {
		if (!has(h->known, h->n_known, &now[i]))
			put(d, &now[i], false);
	}
	for (uint32_t i = 0; i < h->n_known; i++) {
		if (!has(now, n, &h->known[i]))
			put(d, &h->known[i], true);
	}
	memcpy(h->known, now, n * sizeof(now[0]));
	h->n_known = n;
}

void fm_host_hooks_close(struct fm_daemon *d)
{
	for (uint32_t type = 0; type < FM_TYPES_MAX; type++) {
		struct fm_hook_queue *q = &d->host->hooks.queues[type];

		q->n = 0;
		if (q->run)
			end(q->run);
		q->run = NULL;
	}
}
