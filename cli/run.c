/*
 * run: a program and its children get a type of address, without being changed: a cgroup of their
 * own, which the daemon is told of.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/talk.h"
#include "cli/units.h"
#include "net/proc.h"

#define EXIT_NOT_RUN 126 /* as a shell: it is there, but cannot be run */
#define EXIT_NOT_FOUND 127

/* What is asked for, and the cgroup made for it. */
struct run {
	const char *type, *via, *timeout;
	struct fm_args args;
	char cgroup[PATH_MAX];
};

static const char *const types[] = { "fixed", "session-lasting", "graceful-replacement",
				     "nonpersistent" };

static volatile sig_atomic_t child;

static bool is_type(const char *text)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(text, types[i]) == 0)
			return true;
	}
	return false;
}

static int no_cgroup(const struct run *r, const char *what)
{
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		return fm_say_error(r->args.json, FM_EXIT_NOT_PERMITTED, "not-permitted",
				    "as a user: systemd-run --user --scope flowmob run …",
				    "no right to make a cgroup below the one you are in");
	return fm_say_error(r->args.json, FM_EXIT_FAILED, "no-cgroup",
			    "cgroup v2 is needed: mount -t cgroup2 none /sys/fs/cgroup", "%s: %s",
			    what, strerror(errno));
}

/* A cgroup below our own: limits and unit stay as they are. */
static int make_cgroup(struct run *r)
{
	char mount[1024], own[2048];
	int err = fm_proc_cgroup_mount(mount, sizeof(mount));

	if (err == 0)
		err = fm_proc_cgroup_of((uint32_t)getpid(), own, sizeof(own));
	if (err < 0) {
		errno = -err;
		return no_cgroup(r, "cgroup v2");
	}
	(void)snprintf(r->cgroup, sizeof(r->cgroup), "%s%s/" FM_RUN_CGROUP "%d", mount,
		       strcmp(own, "/") == 0 ? "" : own, (int)getpid());
	if (mkdir(r->cgroup, 0755) < 0 && errno != EEXIST)
		return no_cgroup(r, r->cgroup);
	return FM_EXIT_OK;
}

static int enter_cgroup(const struct run *r)
{
	char path[PATH_MAX + 16];
	int fd, ok;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", r->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, "0", 1) == 1; /* the one that writes */
	if (!ok)
		(void)no_cgroup(r, path);
	if (fd >= 0)
		close(fd);
	return ok ? FM_EXIT_OK : FM_EXIT_FAILED;
}

/* The accesses of "wifi,lte" as a list. */
static json_t *list_of(const char *names)
{
	char *copy = strdup(names), *rest = copy, *name;
	json_t *list = json_array();

	while (copy && (name = strsep(&rest, ",")))
		json_array_append_new(list, json_string(name));
	free(copy);
	return list;
}

/* The daemon answers when the address is there. */
static int wait_for_address(const struct run *r)
{
	json_t *request = json_pack("{s:s, s:s}", "command", "run", "type", r->type), *answer;
	double timeout_s;
	int code;

	if (r->via)
		json_object_set_new(request, "via", list_of(r->via));
	if (r->timeout && fm_units_seconds(r->timeout, &timeout_s))
		json_object_set_new(request, "timeout_s", json_real(timeout_s));
	code = fm_talk_ask(request, r->args.json, &answer);
	if (code == FM_EXIT_OK)
		json_decref(answer);
	return code;
}

/* The child: does not come back. */
static void start(const struct run *r)
{
	int code = enter_cgroup(r);

	if (code == FM_EXIT_OK)
		code = wait_for_address(r);
	if (code != FM_EXIT_OK)
		_exit(code);
	execvp(r->args.words[0], r->args.words);
	code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
	_exit(fm_say_error(r->args.json, code, "not-run", NULL, "%s: %s", r->args.words[0],
			   strerror(errno)));
}

static void pass_on(int number)
{
	if (child > 0)
		kill(child, number);
}

/* What a terminal sends reaches the child by itself; the rest is passed on. */
static void set_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, pass = { .sa_handler = pass_on };

	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGQUIT, &ignore, NULL);
	sigaction(SIGTERM, &pass, NULL);
	sigaction(SIGHUP, &pass, NULL);
}

static int wait_for_end(void)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return FM_EXIT_FAILED;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int fm_cmd_run(int argc, char **argv)
{
	struct run r = { .args = {
				 .usage = "run --type TYPE [--via ACCESS,…] [--timeout TIME] -- "
					  "COMMAND [ARGUMENT…]",
				 .about = "Runs a program; its sockets that ask for nothing get an "
					  "address of that type, those of its children too. It "
					  "starts when the address is there.",
				 .min_words = 1,
				 .max_words = INT_MAX } };
	const struct fm_option options[] = {
		{ .name = "--type",
		  .value = "TYPE",
		  .help = "fixed, session-lasting, graceful-replacement, nonpersistent",
		  .text = &r.type },
		{ .name = "--via",
		  .value = "ACCESS,…",
		  .help = "only over these accesses, best first; an address of its own",
		  .text = &r.via },
		{ .name = "--timeout",
		  .value = "TIME",
		  .help = "wait so long for the address; default 5s",
		  .text = &r.timeout },
		{ 0 },
	};
	double ignored;
	int code;

	r.args.options = options;
	if (!fm_args_read(&r.args, argc, argv, &code))
		return code;
	if (!r.type || (r.timeout && !fm_units_seconds(r.timeout, &ignored)))
		return fm_say_error(r.args.json, FM_EXIT_USAGE, "usage",
				    "usage: flowmob run --type TYPE -- COMMAND",
				    r.type ? "--timeout %s is not a time" : "--type is missing%s",
				    r.type ? r.timeout : "");
	if (!is_type(r.type))
		return fm_say_error(
			r.args.json, FM_EXIT_USAGE, "usage",
			"types are: fixed session-lasting graceful-replacement nonpersistent",
			"there is no type %s", r.type);
	code = make_cgroup(&r);
	if (code != FM_EXIT_OK)
		return code;
	child = fork();
	if (child == 0)
		start(&r);
	set_signals();
	code = child < 0 ? FM_EXIT_FAILED : wait_for_end();
	(void)rmdir(r.cgroup); /* not while a child that stayed behind is in it */
	return code;
}
