/*
 * Drives datapath/block.h by lines from standard input, as sock_drive does: the daemon's part in
 * tests of the `block` programs. Answers end with `ok` or `error ERRNO`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "datapath/block.h"
#include "datapath/loader.h"
#include "net/privilege.h"

#define WORDS_MAX 12

static struct fm_block *block;
static struct fm_block_policy policy;
static const char *pin_dir;

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 0);
}

/* As patterns say it: what is there already is looked at here, what comes later by the kernel. */
static uint32_t classes_of(void *ctx, const char *path)
{
	const char *last = strrchr(path, '/') + 1;
	uint32_t classes = 0;

	(void)ctx;
	for (uint32_t i = 0; i < policy.n_patterns; i++) {
		const struct fm_block_pattern *p = &policy.patterns[i];

		if (p->kind == FM_BLOCK_NAME && strncmp(last, p->head.at, p->head_len) == 0)
			classes |= p->class;
	}
	return classes;
}

/* open PIN CGROUP MOUNT */
static int do_open(char **w)
{
	struct fm_block_conf conf = { w[1], w[2], w[3], NULL, NULL };

	pin_dir = strdup(w[1]);
	memset(&policy, 0, sizeof(policy));
	policy.classes_of = classes_of;
	return fm_block_open(&conf, &block);
}

/* rule NEED [dport PORT|dst ADDRESS|tc NUMBER]: for both families, or for that of the address;
 * other: one that does not block */
static int do_rule(char **w)
{
	for (uint8_t format = 1; format <= 2; format++) {
		struct fm_rule *r = &policy.rules[policy.n_rules];
		struct fm_selector *s = &r->selector;

		*r = (struct fm_rule){ .need = strtoull(w[1], NULL, 0),
				       .selector.format = format,
				       .is_block = strcmp(w[0], "other") != 0 };
		if (w[2] && strcmp(w[2], "dport") == 0) {
			s->has_start = 1u << FM_SEL_DPORT;
			s->dport[0] = (uint16_t)number(w[3]);
		} else if (w[2] && strcmp(w[2], "tc") == 0) {
			s->has_start = 1u << FM_SEL_TC;
			s->tc[0] = (uint8_t)number(w[3]);
		} else if (w[2]) {
			s->has_start = 1u << FM_SEL_DST;
			if (format == 1 || inet_pton(AF_INET6, w[3], s->dst[0].b) != 1)
				continue;
		}
		policy.n_rules++;
	}
	return 0;
}

/* pattern KIND CLASS HEAD [TAIL]: with a tail, "-" for an empty one, it has a star */
static int do_pattern(char **w)
{
	struct fm_block_pattern *p = &policy.patterns[policy.n_patterns++];

	p->kind = (uint8_t)number(w[1]);
	p->class = (uint32_t)number(w[2]);
	p->head_len = (uint8_t)snprintf(p->head.at, sizeof(p->head.at), "%s", w[3]);
	p->is_open = w[4] != NULL;
	if (w[4] && strcmp(w[4], "-") != 0)
		p->tail_len = (uint8_t)snprintf(p->tail.at, sizeof(p->tail.at), "%s", w[4]);
	return 0;
}

/* user UID CLASSES */
static int do_user(char **w)
{
	policy.users[policy.n_users++] =
		(struct fm_block_user){ (uint32_t)number(w[1]), (uint32_t)number(w[2]) };
	return 0;
}

/* cannot CLASSES */
static int do_cannot(char **w)
{
	policy.cannot = strtoull(w[1], NULL, 0);
	return 0;
}

/* The next one begins empty. */
static int do_put(char **w)
{
	int err = fm_block_put(block, &policy);

	(void)w;
	memset(&policy, 0, sizeof(policy));
	policy.classes_of = classes_of;
	return err;
}

/* serve DEVICE */
static int do_serve(char **w)
{
	const uint32_t devices[FM_BLOCK_DEVICES] = { (uint32_t)number(w[1]) };

	fm_block_serve(block, devices);
	return 0;
}

/* beat RESTING [SHUT] */
static int do_beat(char **w)
{
	fm_block_beat(block, strtoull(w[1], NULL, 0), w[2] ? strtoull(w[2], NULL, 0) : 0);
	return 0;
}

/* send ADDRESS PORT: from a socket of the daemon's own */
static int do_send(char **w)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)number(w[2])) };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, w[1], &to.sin6_addr);
	return fd < 0 || sendto(fd, "own", 3, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno
											 : 0;
}

/* As the daemon after its start: another user, few capabilities. */
static int do_drop(char **w)
{
	int err = fm_privilege_give(w[1], pin_dir);

	return err < 0 ? err : fm_privilege_drop(w[1]);
}

static int do_drops(char **w)
{
	(void)w;
	printf("drops %llu\n", (unsigned long long)fm_block_drops(block));
	return 0;
}

static int do_close(char **w)
{
	if (block)
		fm_block_close(block);
	block = NULL;
	if (strcmp(w[0], "remove") == 0)
		fm_block_remove(pin_dir);
	return 0;
}

static const struct {
	const char *name;
	int words;
	int (*run)(char **w);
} commands[] = {
	{ "open", 4, do_open },	      { "rule", 2, do_rule },	 { "other", 2, do_rule },
	{ "pattern", 4, do_pattern }, { "user", 3, do_user },	 { "cannot", 2, do_cannot },
	{ "put", 1, do_put },	      { "serve", 2, do_serve },	 { "beat", 2, do_beat },
	{ "send", 3, do_send },	      { "drops", 1, do_drops },	 { "close", 1, do_close },
	{ "drop", 2, do_drop },	      { "remove", 1, do_close },
};

static int run(char *line)
{
	char *words[WORDS_MAX + 1] = { NULL };
	int n = 0;

	for (char *w = strtok(line, " \n"); w && n < WORDS_MAX; w = strtok(NULL, " \n"))
		words[n++] = w;
	for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, words[0]) == 0 && n >= commands[i].words)
			return commands[i].run(words);
	}
	return -EINVAL;
}

int main(void)
{
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		int err = run(line);

		if (err < 0)
			printf("error %d\n", -err);
		else
			puts("ok");
		if (err < 0 && *fm_dp_error())
			fprintf(stderr, "block_drive: %s\n", fm_dp_error());
		fflush(stdout);
	}
	return 0;
}
