/*
 * flowmobd's life: open, run one role, end. And the operations of the core that no role needs to
 * know.
 */
#include "daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/commands.h"
#include "daemon/policy.h"
#include "daemon/tell.h"
#include "daemon/who.h"
#include "datapath/loader.h"
#include "net/privilege.h"
#include "net/proc.h"
#include "net/veth.h"

#define USER "flowmob"

double fm_daemon_wall_s(uint64_t at_us)
{
	return ((double)fm_wall_us() + (double)at_us - (double)fm_now_us()) / 1e6;
}

void fm_daemon_changed(struct fm_daemon *d)
{
	fm_later_ask(&d->turn);
}

static void send_letter(void *ctx, const struct fm_letter *l)
{
	struct fm_daemon *d = ctx;

	(void)fm_signal_send(d->signal, &l->via, l->mh,
			     l->len); /* counted there; the core asks again */
}

/*
 * A disk that fails does not stop the service: the store keeps what it could not write and says so
 * (store_trouble), and the messages go out all the same.
 */
void fm_daemon_flush(struct fm_daemon *d)
{
	if (fm_store_pending(d->store))
		(void)fm_store_commit(d->store);
	fm_outbox_empty(&d->outbox, send_letter, d);
}

void fm_daemon_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_daemon *d = world;

	if (fm_outbox_put(&d->outbox, via, mh, len) == -ENOBUFS) {
		fm_daemon_flush(d);
		(void)fm_outbox_put(&d->outbox, via, mh, len);
	}
	fm_daemon_changed(d);
}

void fm_daemon_wake_at(void *world, uint64_t at_us)
{
	struct fm_daemon *d = world;

	fm_timer_set(&d->wake, at_us == UINT64_MAX ? 0 : at_us > 0 ? at_us : 1);
}

int fm_daemon_pairs(struct fm_daemon *d, struct fm_dp_conf *conf)
{
	struct fm_veth veth;
	int ret = fm_veth_open(&d->netlink, FM_VETH_CUTS, &veth);

	if (ret < 0)
		return ret;
	conf->cut_ifindex = veth.ifindex;
	d->cut_end = veth.end;
	if (fm_dp_kernel_decaps())
		return 0;
	ret = fm_veth_open(&d->netlink, FM_VETH_IN, &veth);
	if (ret < 0)
		return ret;
	conf->into_ifindex = veth.ifindex;
	memcpy(conf->into_mac, veth.mac, sizeof(conf->into_mac));
	return 0;
}

int fm_daemon_attach(const struct fm_daemon *d, struct fm_dp *dp, uint32_t fm0)
{
	int ret = fm_dp_attach(dp, d->cut_end, FM_DP_CUT);

	return ret < 0 ? ret : fm_dp_attach(dp, fm0, FM_DP_FM0);
}

void fm_daemon_random(void *world, void *out, size_t len)
{
	(void)world;
	fm_crypto_random(out, len);
}

int fm_daemon_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		  uint8_t out[16])
{
	struct fm_daemon *d = world;

	return fm_crypto_mac(d->crypto, sa, parts, n, out);
}

void fm_daemon_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		    const struct fm_octets *value)
{
	struct fm_daemon *d = world;

	if (fm_store_put(d->store, kind, key, value) < 0)
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_STORE],
			      "a record was not taken", NULL);
	fm_daemon_changed(d);
}

/* The name of an access, where the role has some. */
static const char *access_name(const struct fm_daemon *d, uint8_t access)
{
	if (!d->config->is_host || access >= d->config->host.n_accesses)
		return NULL;
	return d->config->host.accesses[access].name;
}

void fm_daemon_tell(void *world, const struct fm_event *e)
{
	struct fm_daemon *d = world;
	const struct fm_event_row *row = fm_event_row(e->id);
	const char *reason;
	json_t *about;

	if (!row || e->id == d->unsaid)
		return;
	about = fm_tell_about(e, access_name(d, e->access), &reason);
	fm_events_put(&d->events, row, reason, about);
}

static void store_trouble(void *ctx, enum fm_store_trouble what, const char *text)
{
	struct fm_daemon *d = ctx;

	(void)what; /* the text says it */
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_STORE], text, NULL);
}

static void wake(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;

	d->role->wake(d, now_us);
	fm_daemon_changed(d);
}

/* The loop polls once more after uv_stop(): the role must hear of nothing then. */
static void end(struct fm_daemon *d)
{
	fm_timer_close(&d->wake);
	d->role->stop(d);
	uv_stop(&d->loop);
}

/* The end of a turn: data path first, so that a path is there when its acknowledgement arrives. */
static void turn(void *ctx)
{
	struct fm_daemon *d = ctx;

	d->role->turn(d);
	fm_daemon_flush(d);
	if (d->is_ending)
		end(d);
}

/* Is what the configuration asks for to be had here? Else it is told. */
static bool suits_place(const struct fm_config *c, FILE *err)
{
	const struct fm_classes *words = &c->host.classes;
	bool by_program = fm_who_has_kind(&c->host, 1u << FM_OWNER_PROGRAM);

	for (uint8_t i = 0; i < words->n_senders; i++)
		by_program |= words->senders[i].kind == FM_OWNER_PROGRAM;
	if (!c->is_host || !by_program || fm_proc_has_all())
		return true;
	fprintf(err,
		"flowmobd: a word names a program, which cannot be seen from this pid namespace\n"
		"          start the daemon in the machine's own (podman, docker: --pid=host), or "
		"name units, users, cgroups\n");
	return false;
}

int fm_daemon_reload(struct fm_daemon *d, char *said, size_t cap)
{
	struct fm_config *old = d->config, *c;
	FILE *err = fmemopen(said, cap, "w");
	int ret = -EINVAL;

	c = err ? fm_config_read(d->options.config, old, err) : NULL;
	if (c && (fm_policy_load(&d->options, c, err) < 0 || !suits_place(c, err))) {
		fm_config_free(c);
		c = NULL;
	}
	if (c && (c->is_host != old->is_host || c->is_anchor != old->is_anchor)) {
		fprintf(err, "another role needs a restart");
	} else if (c) {
		d->config = c;
		ret = d->role->reload(d, old);
		if (ret == -EXDEV)
			fprintf(err, "accesses and addresses change by a restart, "
				     "which loses nothing");
		else if (ret < 0)
			fprintf(err, "%s", strerror(-ret));
	}
	if (err)
		fclose(err);
	if (ret < 0) {
		d->config = old;
		fm_config_free(c);
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_RELOAD_REFUSED], said,
			      NULL);
		return ret;
	}
	fm_config_free(old);
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_RELOADED], NULL, NULL);
	fm_daemon_changed(d);
	return 0;
}

static void on_signal(uv_signal_t *s, int number)
{
	struct fm_daemon *d = s->data;

	char said[4096] = "";

	if (d->is_ending)
		return;
	if (number == SIGHUP) {
		fm_notify("RELOADING=1");
		(void)fm_daemon_reload(d, said, sizeof(said));
		fm_notify("READY=1");
		return;
	}
	d->is_ending = true; /* digest D51: bindings and data path stay */
	fm_daemon_changed(d);
}

static int open_signals(struct fm_daemon *d)
{
	static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uv_signal_init(&d->loop, &d->signals[i]);
		d->signals[i].data = d;
		if (uv_signal_start(&d->signals[i], on_signal, numbers[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int make_directory(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_store(struct fm_daemon *d)
{
	struct fm_store_setup setup = { .dir = d->options.state,
					.trouble = store_trouble,
					.ctx = d };

	return fm_store_open(&setup, &d->store);
}

static void client_gone(void *ctx, struct fm_client *client)
{
	struct fm_daemon *d = ctx;

	if (d->role->gone)
		d->role->gone(d, client);
}

/* systemd mounts bpffs for root alone: without privileges we come to our pins by a descriptor. */
static int open_pins(struct fm_daemon *d)
{
	int ret = fm_dp_make_pin_dir(d->options.pin);

	if (ret < 0) {
		fprintf(stderr, "flowmobd: %s\n", fm_dp_error());
		return ret;
	}
	d->pins_fd = open(d->options.pin, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (d->pins_fd < 0)
		return -errno;
	snprintf(d->pins, sizeof(d->pins), "/proc/self/fd/%d", d->pins_fd);
	d->options.pin = d->pins;
	return 0;
}

static int open_control(struct fm_daemon *d)
{
	char path[108];
	int ret = make_directory(d->options.run, 0755);

	if (ret < 0)
		return ret;
	if ((size_t)snprintf(path, sizeof(path), "%s/flowmob.sock", d->options.run) >= sizeof(path))
		return -ENAMETOOLONG;
	d->control.request = fm_command_answer;
	d->control.gone = client_gone;
	d->control.ctx = d;
	ret = fm_control_open(&d->control, &d->loop, path);
	if (ret == 0)
		d->events.control = &d->control;
	return ret;
}

static int start_role(struct fm_daemon *d)
{
	return d->role->start(d);
}

/*
 * Pins come and go with accesses and by `flowmob down`; a store that fails is put aside and made
 * anew.
 */
static void give_directories(struct fm_daemon *d)
{
	const char *const paths[] = { d->options.pin, d->options.state, d->options.run };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int ret = fm_privilege_give(USER, paths[i]);

		if (ret < 0 && ret != -ENOENT)
			fprintf(stderr, "flowmobd: %s: %s\n", paths[i], strerror(-ret));
	}
}

static void give_pins(struct fm_daemon *d)
{
	DIR *dir = opendir(d->options.pin);
	const struct dirent *e;
	char path[512];

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", d->options.pin, e->d_name);
		if (e->d_type == DT_REG)
			(void)fm_privilege_give(USER, path);
	}
	if (dir)
		closedir(dir);
}

static int drop_power(struct fm_daemon *d)
{
	int ret;

	give_directories(d);
	give_pins(d);
	ret = fm_privilege_drop(USER);
	if (ret != -ENOENT)
		return ret;
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_STAYED_ROOT],
		      "there is no user " USER, NULL);
	return fm_privilege_drop(NULL);
}

static int open_netlink(struct fm_daemon *d)
{
	return fm_netlink_open(&d->netlink, NETLINK_ROUTE);
}

static int open_raw(struct fm_daemon *d)
{
	return fm_raw_open(&d->raw);
}

static int open_crypto(struct fm_daemon *d)
{
	return fm_crypto_open(&d->crypto);
}

static int open_turn(struct fm_daemon *d)
{
	int ret = fm_timer_open(&d->wake, &d->loop, wake, d);

	return ret < 0 ? ret : fm_later_open(&d->turn, &d->loop, turn, d);
}

/* In this order; what needs privileges stands before they are dropped. */
static const struct step {
	const char *what;
	int (*open)(struct fm_daemon *d);
	const char *hint;
} steps[] = {
	{ "signals", open_signals, NULL },
	{ "libcrypto", open_crypto, "HMAC must not be disabled in openssl.cnf" },
	{ "the loop's timer", open_turn, NULL },
	{ "netlink", open_netlink, NULL },
	{ "raw sockets", open_raw, "flowmobd is started as root, and drops what it does not need" },
	{ "the store", open_store, "look at the directory given by --state" },
	{ "the directory of pins", open_pins, "look at the directory given by --pin" },
	{ "the control socket", open_control, "look at the directory given by --run" },
	{ "the role", start_role, "the lines above tell more" },
	{ "dropping privileges", drop_power, NULL },
};

static int open_all(struct fm_daemon *d)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int ret = steps[i].open(d);

		if (ret == 0)
			continue;
		fprintf(stderr, "flowmobd: %s: %s\n", steps[i].what, strerror(-ret));
		if (steps[i].hint)
			fprintf(stderr, "          %s\n", steps[i].hint);
		return ret;
	}
	return 0;
}

static int choose_role(struct fm_daemon *d)
{
	d->config = fm_config_read(d->options.config, NULL, stderr);
	if (!d->config || fm_policy_load(&d->options, d->config, stderr) < 0 ||
	    !suits_place(d->config, stderr))
		return -EINVAL;
	if (d->config->is_host && d->config->is_anchor) {
		fprintf(stderr,
			"flowmobd: %s: host and anchor in one daemon\n"
			"          run two daemons, each in its own network namespace\n",
			d->options.config);
		return -EINVAL;
	}
	d->role = d->config->is_host ? &fm_role_host : &fm_role_anchor;
	return 0;
}

static void close_signals(struct fm_daemon *d)
{
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++)
		uv_close((uv_handle_t *)&d->signals[i], NULL);
}

static void close_all(struct fm_daemon *d)
{
	fm_events_close(&d->events);
	fm_control_close(&d->control);
	fm_later_close(&d->turn);
	close_signals(d);
	uv_run(&d->loop, UV_RUN_DEFAULT); /* closes the handles */
	fm_store_close(d->store);
	fm_raw_close(&d->raw);
	fm_netlink_close(&d->netlink);
	fm_crypto_close(d->crypto);
	uv_loop_close(&d->loop);
	if (d->pins_fd > 0)
		close(d->pins_fd);
	fm_config_free(d->config);
	free(d->host);
	free(d->anchor);
}

int fm_daemon_run(struct fm_daemon *d)
{
	if (choose_role(d) < 0)
		return 2; /* a file that cannot be read, as for every command */
	if (uv_loop_init(&d->loop) < 0)
		return 1;
	d->started_us = fm_now_us();
	d->unsaid = FM_EVENT_COUNT;
	if (open_all(d) < 0)
		return 1; /* the kernel closes what is open; the data path stays as it was */
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_STARTED], d->role->name, NULL);
	fm_notify("READY=1");
	fm_daemon_changed(d);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	fm_notify("STOPPING=1");
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_ENDING],
		      "bindings and data path stay as they are", NULL);
	fm_daemon_flush(d);
	close_all(d);
	return 0;
}
