/*
 * Drives datapath/sock.h by lines from standard input: the daemon's part in tests of the `sock`
 * programs. One command a line, words separated by blanks; answers end with `ok` or `error ERRNO`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/loader.h"
#include "datapath/sock.h"
#include "test/bpf/sender.skel.h"

#define WORDS_MAX 12

static struct fm_sock *s;
static char pin_dir[128];

static unsigned long long number(const char *text)
{
	return strtoull(text, NULL, 0);
}

static struct fm_ip ip_of(const char *text)
{
	struct fm_ip ip = { 0 };
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return fm_ip_from_v4(v4);
	if (inet_pton(AF_INET6, text, ip.b) != 1) {
		fprintf(stderr, "sock_drive: %s is no address\n", text);
		exit(2);
	}
	return ip;
}

/* open PIN CGROUP */
static int do_open(char **w)
{
	struct fm_sock_conf c = { .pin_dir = w[1], .cgroup = w[2] };
	int err = fm_sock_open(&c, &s);

	snprintf(pin_dir, sizeof(pin_dir), "%s", w[1]);
	if (err < 0)
		fprintf(stderr, "sock_drive: %s\n", fm_dp_error());
	return err;
}

static int do_close(char **w)
{
	if (strcmp(w[0], "down") == 0)
		fm_sock_down(s);
	else
		fm_sock_close(s);
	s = NULL;
	return 0;
}

/* address TYPE IP */
static int do_address(char **w)
{
	struct fm_ip ip = ip_of(w[2]);
	int slot = fm_sock_address(s, (uint8_t)number(w[1]), &ip);

	if (slot > 0)
		printf("slot %d\n", slot);
	return slot > 0 ? 0 : slot;
}

static void print_slot(void *ctx, uint32_t slot, uint8_t type, const struct fm_ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	(void)ctx;
	inet_ntop(AF_INET6, ip->b, text, sizeof(text));
	printf("slot %u type %u %s count %llu\n", slot, type, text,
	       (unsigned long long)fm_sock_count(s, slot));
}

static int do_each(char **w)
{
	(void)w;
	fm_sock_each(s, print_slot, NULL);
	return 0;
}

/* forget SLOT */
static int do_forget(char **w)
{
	fm_sock_forget(s, (uint32_t)number(w[1]));
	return 0;
}

/* count SLOT */
static int do_count(char **w)
{
	printf("count %llu\n", (unsigned long long)fm_sock_count(s, (uint32_t)number(w[1])));
	return 0;
}

/* type TYPE IS-V4 STATE SLOT ERROR */
static int do_type(char **w)
{
	return fm_sock_type(s, (uint8_t)number(w[1]), number(w[2]) != 0, (uint32_t)number(w[3]),
			    (uint32_t)number(w[4]), (int)number(w[5]));
}

/* answer ID STATE SLOT ERROR */
static int do_answer(char **w)
{
	return fm_sock_answer(s, number(w[1]), (uint32_t)number(w[2]), (uint32_t)number(w[3]),
			      (int)number(w[4]));
}

/* policy CLOSED-TYPES HAS-DEFAULTS DEFAULT-TYPE */
static int do_policy(char **w)
{
	return fm_sock_policy(s, (uint8_t)number(w[1]), number(w[2]) != 0, (uint8_t)number(w[3]));
}

/* verdict CGROUP INO DEV UID GID ALLOWED DEFAULT-TYPE IS-STRICT REQUEST */
static int do_verdict(char **w)
{
	struct fm_sock_who who = { .cgroup = number(w[1]),
				   .exe_ino = number(w[2]),
				   .exe_dev = (uint32_t)number(w[3]),
				   .uid = (uint32_t)number(w[4]),
				   .gid = (uint32_t)number(w[5]) };
	struct fm_sock_verdict v = { .allowed = (uint8_t)number(w[6]),
				     .default_type = (uint8_t)number(w[7]),
				     .is_strict = (uint8_t)number(w[8]),
				     .default_request = number(w[9]) };

	return fm_sock_verdict(s, &who, &v);
}

/* routed SLOT 0|1 */
static int do_routed(char **w)
{
	fm_sock_routed(s, (uint32_t)number(w[1]), number(w[2]) != 0);
	return 0;
}

/* refused TYPE: sockets that may not have it */
static int do_refused(char **w)
{
	printf("refused %llu\n", (unsigned long long)fm_sock_refused(s, (uint8_t)number(w[1])));
	return 0;
}

/* tree CGROUP DEFAULT-TYPE: a strict verdict for that cgroup and all below; 0 0: there is none */
static int do_tree(char **w)
{
	struct fm_sock_who who = { .cgroup = number(w[1]), .uid = FM_SOCK_ANY, .gid = FM_SOCK_ANY };
	struct fm_sock_verdict v = { .default_type = (uint8_t)number(w[2]),
				     .is_strict = 1,
				     .is_tree = 1 };

	fm_sock_trees(s, who.cgroup != 0);
	return who.cgroup ? fm_sock_verdict(s, &who, &v) : 0;
}

/* people 0|1: verdicts are by user and group alone */
static int do_people(char **w)
{
	fm_sock_people(s, number(w[1]) != 0);
	return 0;
}

/* senders 0|1 */
static int do_senders(char **w)
{
	return fm_sock_senders(s, number(w[1]) != 0);
}

/* classes CGROUP INO DEV UID GID CLASSES: a verdict that says these, and no types */
static int do_classes(char **w)
{
	struct fm_sock_who who = { .cgroup = number(w[1]),
				   .exe_ino = number(w[2]),
				   .exe_dev = (uint32_t)number(w[3]),
				   .uid = (uint32_t)number(w[4]),
				   .gid = (uint32_t)number(w[5]) };
	struct fm_sock_verdict v = { .is_classed = 1, .classes = (uint32_t)number(w[6]) };

	return fm_sock_verdict(s, &who, &v);
}

static struct fm_sender_bpf *sender;

/* watch IFINDEX: the data path's part: notes the classes of what leaves there */
static int do_watch(char **w)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)number(w[1]), .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	struct bpf_map *m;
	char path[256];
	int err = 0;

	if (sender)
		return 0;
	sender = fm_sender_bpf__open();
	if (!sender)
		return -errno;
	bpf_object__for_each_map(m, sender->obj)
	{
		snprintf(path, sizeof(path), "%s/%s", pin_dir, bpf_map__name(m));
		if (err == 0 && strncmp(bpf_map__name(m), "fm_", 3) == 0)
			err = bpf_map__set_pin_path(m, path);
	}
	if (err == 0)
		err = fm_sender_bpf__load(sender);
	if (err < 0)
		return err;
	err = bpf_tc_hook_create(&hook);
	opts.prog_fd = bpf_program__fd(sender->progs.note);
	return err < 0 && err != -EEXIST ? err : bpf_tc_attach(&hook, &opts);
}

/* seen PORT: the classes of the last packet from there */
static int do_seen(char **w)
{
	uint16_t port = (uint16_t)number(w[1]);
	uint32_t classes;

	if (bpf_map_lookup_elem(bpf_map__fd(sender->maps.seen), &port, &classes) < 0)
		return -errno;
	printf("classes %u\n", classes);
	return 0;
}

/* home IFINDEX */
static int do_home(char **w)
{
	fm_sock_home(s, (uint32_t)number(w[1]));
	return 0;
}

/* deadline MS */
static int do_deadline(char **w)
{
	fm_sock_deadline(s, (uint32_t)number(w[1]));
	return 0;
}

static void print_event(void *ctx, const struct fm_sock_event *e)
{
	static const char *const names[] = { "?", "want", "own", "who", "gone", "refused" };

	(void)ctx;
	printf("event %s type %u v4 %u pid %u life %u bytes %llu id %llu", names[e->kind % 6],
	       e->type, e->is_v4, e->pid, e->lifetime_s, (unsigned long long)e->lifetime_bytes,
	       (unsigned long long)e->id);
	printf(" cgroup %llu ino %llu dev %u uid %u gid %u\n", (unsigned long long)e->who.cgroup,
	       (unsigned long long)e->who.exe_ino, e->who.exe_dev, e->who.uid, e->who.gid);
}

static int do_read(char **w)
{
	(void)w;
	return fm_sock_read(s, print_event, NULL);
}

static int map_fd(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, name);
	return bpf_obj_get(path);
}

/* How many sockets asked till now. */
static int do_ids(char **w)
{
	int fd = map_fd("fm_sock_ids_v1"), zero = 0;
	unsigned long long n = 0;

	(void)w;
	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, &n) < 0)
		return -EBADF;
	printf("ids %llu\n", n);
	close(fd);
	return 0;
}

/* How many own requests live. */
static int do_requests(char **w)
{
	int fd = map_fd("fm_sock_requests_v1"), n = 0;
	uint64_t key, *at = NULL;

	(void)w;
	while (bpf_map_get_next_key(fd, at, &key) == 0) {
		at = &key;
		n++;
	}
	printf("requests %d\n", n);
	close(fd);
	return 0;
}

static const struct {
	const char *name;
	int words; /* with the command itself */
	int (*act)(char **w);
} commands[] = {
	{ "open", 3, do_open },	       { "close", 1, do_close },
	{ "down", 1, do_close },       { "address", 3, do_address },
	{ "each", 1, do_each },	       { "forget", 2, do_forget },
	{ "count", 2, do_count },      { "type", 6, do_type },
	{ "answer", 5, do_answer },    { "policy", 4, do_policy },
	{ "verdict", 10, do_verdict }, { "read", 1, do_read },
	{ "home", 2, do_home },	       { "deadline", 2, do_deadline },
	{ "ids", 1, do_ids },	       { "requests", 1, do_requests },
	{ "senders", 2, do_senders },  { "classes", 7, do_classes },
	{ "routed", 3, do_routed },    { "tree", 3, do_tree },
	{ "refused", 2, do_refused },  { "watch", 2, do_watch },
	{ "seen", 2, do_seen },	       { "people", 2, do_people },
};

static int run_line(char *line)
{
	char *w[WORDS_MAX] = { NULL }, *save = NULL;
	int n = 0;

	for (char *t = strtok_r(line, " \n", &save); t && n < WORDS_MAX - 1;
	     t = strtok_r(NULL, " \n", &save))
		w[n++] = t;
	for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, w[0]) == 0 && n == commands[i].words)
			return commands[i].act(w);
	}
	fprintf(stderr, "sock_drive: unknown, or words are missing\n");
	return -EINVAL;
}

int main(void)
{
	static char line[1024];

	while (fgets(line, sizeof(line), stdin)) {
		int err = run_line(line);

		if (err < 0)
			printf("error %d\n", -err);
		else
			puts("ok");
		fflush(stdout);
	}
	return 0;
}
