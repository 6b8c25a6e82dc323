/*
 * Rules that block, as the kernel can judge them alone: words by unit, cgroup and user become
 * patterns and numbers; groups, programs and domains only the daemon knows.
 */
#include "daemon/host_block.h"

#include <errno.h>
#include <net/if.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/host.h"
#include "daemon/role.h"
#include "daemon/who.h"
#include "datapath/block.h"
#include "net/proc.h"
#include "net/tun.h"
#include "net/veth.h"

#define ROOT_ID 1 /* of the first of all cgroups */

/**
 * struct source - what a policy is made of
 * @words:   those of @all that a cgroup's path tells
 * @is_root: what is mounted there are all cgroups, and not those of a cgroup namespace, whose paths
 *           the kernel sees otherwise than we
 */
struct source {
	const struct fm_who_words *all;
	struct fm_who_words words;
	char mount[1024];
	bool is_root;
};

static uint32_t classes_of(void *ctx, const char *path)
{
	const struct source *s = ctx;
	const struct fm_who who = { .cgroup = path + strlen(s->mount), .program = "" };

	return fm_who_classes(&s->words, &who);
}

/*
 * Rules that block, but for those of home addresses alone, which are fm0's and the guard's; with
 * those that stand between, where all have a place.
 */
static bool is_given(const struct fm_host_conf *conf, const struct fm_host_rule_conf *r)
{
	if (r->is_block)
		return r->types == 0 || r->types >> FM_NONPERSISTENT & 1;
	return r->types == 0 && conf->n_rules <= FM_RULES_MAX;
}

/* Return: how many of them block. */
static uint32_t put_rules(const struct fm_host_conf *conf, struct fm_block_policy *p)
{
	uint32_t n = 0;

	for (uint8_t i = 0; i < conf->n_rules; i++) {
		const struct fm_host_rule_conf *r = &conf->rules[i];

		if (!is_given(conf, r) || p->n_rules == FM_RULES_MAX)
			continue;
		p->rules[p->n_rules++] = (struct fm_rule){ .selector = r->selector,
							   .need = r->need,
							   .is_block = r->is_block };
		n += r->is_block;
	}
	return n;
}

/* A shell pattern as what stands before and behind one star; else the kernel cannot compare it. */
static void put_pattern(const struct source *s, const struct fm_conf_owner *o, uint32_t class,
			struct fm_block_policy *p)
{
	struct fm_block_pattern *to = &p->patterns[p->n_patterns++];
	bool is_name = o->kind == FM_OWNER_UNIT;
	const char *star = strchr(o->name, '*'), *tail = star ? star + 1 : "";
	size_t head = star ? (size_t)(star - o->name) : strlen(o->name);

	*to = (struct fm_block_pattern){ .kind = is_name ? FM_BLOCK_NAME : FM_BLOCK_WHOLE,
					 .is_open = star != NULL,
					 .head_len = (uint8_t)head,
					 .tail_len = (uint8_t)strlen(tail),
					 .class = class };
	memcpy(to->head.at, o->name, head);
	memcpy(to->tail.at, tail, strlen(tail));
	if (strpbrk(o->name, "?[\\") || strchr(tail, '*') ||
	    (!is_name && (!s->is_root || strchr(tail, '/'))))
		to->kind = FM_BLOCK_ANY;
}

/* A name that nobody knows now may be known later. */
static void put_user(const struct fm_conf_owner *o, uint32_t class, struct fm_block_policy *p)
{
	const struct passwd *user = getpwnam(o->name);

	if (user)
		p->users[p->n_users++] = (struct fm_block_user){ user->pw_uid, class };
	else
		p->cannot |= class;
}

static void put_words(struct source *s, struct fm_block_policy *p)
{
	s->words = *s->all;
	p->cannot = FM_CLASS_DESTINATION;
	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		const struct fm_conf_owner *o = &s->all->list[i];

		if (!(s->all->used >> i & 1))
			continue;
		if (FM_WHO_BY_CGROUP >> o->kind & 1) {
			put_pattern(s, o, 1u << i, p);
			continue;
		}
		s->words.used &= ~(1u << i);
		if (o->kind == FM_OWNER_USER)
			put_user(o, 1u << i, p);
		else
			p->cannot |= 1u << i;
	}
	p->classes_of = classes_of;
	p->ctx = s;
}

/* Return: rules that block outside; @out: what the kernel is to have. */
static uint32_t make(const struct fm_host_conf *conf, struct source *s, struct fm_block_policy *out)
{
	uint32_t n;

	memset(out, 0, sizeof(*out));
	n = put_rules(conf, out);
	put_words(s, out);
	return n;
}

static int find_cgroups(struct source *s)
{
	struct stat st;
	int err = fm_proc_cgroup_mount(s->mount, sizeof(s->mount));

	s->is_root = err == 0 && stat(s->mount, &st) == 0 && st.st_ino == ROOT_ID;
	return err;
}

static void told(struct fm_daemon *d, int err)
{
	if (err < 0)
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_BLOCK],
			      *fm_dp_error() ? fm_dp_error() : strerror(-err), NULL);
}

void fm_host_block_beat(struct fm_daemon *d)
{
	const struct fm_host *core = &d->host->core;
	uint64_t resting = 0, shut = 0;
	uint8_t n = 0;

	if (!d->host->block.block)
		return;
	for (uint8_t i = 0; i < core->conf.n_rules && n < FM_RULES_MAX; i++) {
		const struct fm_choice *c = &core->choices[i];

		if (!is_given(&core->conf, &core->conf.rules[i]))
			continue;
		resting |= (uint64_t)core->resting[i] << n;
		shut |= (uint64_t)(!c->copies && !c->paths && c->access == FM_NO_ACCESS) << n++;
	}
	fm_block_beat(d->host->block.block, resting, shut);
}

/* Who sends is for the `sock` programs to note, names of destinations are in the data path. */
static int map_of(void *ctx, const char *name)
{
	const struct fm_daemon *d = ctx;
	const struct fm_sock *sock = d->host->sockets.sock;
	int fd = sock ? fm_sock_map(sock, name) : -1;

	return fd < 0 ? fm_dp_map(d->host->dp, name) : fd;
}

static int open_block(struct fm_daemon *d, const char *mount)
{
	const struct fm_block_conf conf = { .pin_dir = d->options.pin,
					    .cgroup = d->options.cgroup,
					    .mount = mount,
					    .map_of = map_of,
					    .ctx = d };

	return d->host->block.block ? 0 : fm_block_open(&conf, &d->host->block.block);
}

static int put(struct fm_daemon *d, struct source *s, const struct fm_block_policy *p)
{
	const uint32_t devices[FM_BLOCK_DEVICES] = { if_nametoindex(FM_TUN_NAME),
						     if_nametoindex(FM_VETH_NAME),
						     if_nametoindex(FM_VETH_PEER) };
	int err = open_block(d, s->mount);

	if (err < 0)
		return err;
	err = fm_block_put(d->host->block.block, p);
	fm_block_serve(d->host->block.block, devices);
	fm_host_block_beat(d);
	return err;
}

void fm_host_block_apply(struct fm_daemon *d)
{
	struct source s = { .all = &d->host->policy.words };
	struct fm_block_policy *p = calloc(1, sizeof(*p));
	int err = find_cgroups(&s);

	if (p && make(&d->host->core.conf, &s, p) == 0)
		fm_host_block_down(d);
	else if (p)
		told(d, err < 0 ? err : put(d, &s, p));
	free(p);
}

int fm_host_block_open(struct fm_daemon *d)
{
	fm_host_block_apply(d);
	return 0;
}

void fm_host_block_close(struct fm_daemon *d)
{
	if (d->host->block.block)
		fm_block_close(d->host->block.block);
	d->host->block.block = NULL;
}

void fm_host_block_down(struct fm_daemon *d)
{
	fm_host_block_close(d);
	fm_block_remove(d->options.pin);
}

uint64_t fm_host_block_drops(const struct fm_daemon *d)
{
	return d->host->block.block ? fm_block_drops(d->host->block.block) : 0;
}

/* The boot. */

static int load(const struct fm_options *o, struct source *s, const struct fm_block_policy *p)
{
	const struct fm_block_conf conf = { o->pin, o->cgroup, s->mount, NULL, NULL };
	struct fm_block *b = NULL;
	int err = fm_proc_cgroup_mount(s->mount, sizeof(s->mount));

	if (err < 0) {
		fprintf(stderr,
			"flowmobd: no cgroup v2 is mounted: rules that block do not hold\n");
		return 1;
	}
	err = fm_block_open(&conf, &b);
	if (err == 0)
		err = fm_block_put(b, p);
	if (err < 0)
		fprintf(stderr, "flowmobd: %s\n", fm_dp_error());
	if (b)
		fm_block_close(b);
	return err < 0;
}

static int boot(const struct fm_options *o, const struct fm_config *c, struct fm_block_policy *p,
		struct fm_host_conf *conf)
{
	struct fm_who_words words = { 0 };
	struct source s = { .all = &words };
	uint8_t bits[FM_CLASSES_MAX] = { 0 };
	int err = find_cgroups(&s);

	(void)fm_who_set(&words, c->host.classes.senders, c->host.classes.n_senders, bits);
	fm_host_conf_make(c, conf);
	for (uint8_t i = 0; i < conf->n_rules; i++)
		conf->rules[i].need = fm_host_rules_need(bits, conf->rules[i].need);
	if (make(conf, &s, p) == 0) {
		fm_block_remove(o->pin);
		return 0;
	}
	if (err < 0)
		fprintf(stderr,
			"flowmobd: no cgroup v2 is mounted: rules that block do not hold\n");
	return err < 0 ? 1 : load(o, &s, p);
}

int fm_host_block_boot(const struct fm_options *o)
{
	struct fm_config *c = fm_config_read(o->config, NULL, stderr);
	struct fm_block_policy *p = calloc(1, sizeof(*p));
	struct fm_host_conf *conf = calloc(1, sizeof(*conf));
	int ret = 1;

	if (!c || fm_policy_load(o, c, stderr) < 0)
		fprintf(stderr, "flowmobd: what was blocked before stays blocked\n");
	else if (p && conf)
		ret = c->is_host ? boot(o, c, p, conf) : 0;
	free(conf);
	free(p);
	if (c)
		fm_config_free(c);
	return ret;
}
