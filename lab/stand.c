/*
 * A world that stands: a supervisor in the background keeps it, and plays events that come over
 * its socket. Its guardian removes the world when the supervisor ends, however that happens.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/lab.h"
#include "lab/ns.h"
#include "lab/stage.h"

#define DEFAULT_INSTANCE "lab"
#define WORDS_MAX 16
#define DOWN_MS 8000

static int open_instance(struct fm_lab_instance *in, const char *name)
{
	return fm_instance_open(in, name ? name : DEFAULT_INSTANCE);
}

static int no_instance(const struct fm_lab_instance *in)
{
	fprintf(stderr,
		"flowmob: there is no instance \"%s\"\n"
		"         flowmob lab list shows those that stand\n",
		in->name);
	return FM_LAB_EXIT_FAILED;
}

static struct sockaddr_un socket_of(const struct fm_lab_instance *in)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/lab.sock", in->dir);
	return sun;
}

/* --- the supervisor --- */

static json_t *play_words(struct fm_lab_stage *st, const json_t *list)
{
	char *words[WORDS_MAX], error[160] = "";
	struct fm_lab_event e;
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < WORDS_MAX; i++)
		words[i] = (char *)json_string_value(json_array_get(list, i));
	if (n == 0 || n > WORDS_MAX)
		return json_pack("{s:i, s:s}", "exit", FM_LAB_EXIT_USAGE, "message",
				 "too many words");
	/*
	 * fm_scenario_event() says on stderr what is wrong; the client has checked the same before.
	 */
	if (fm_scenario_event((struct fm_lab_scenario *)st->s, words, (int)n, &e) < 0)
		return json_pack("{s:i, s:s}", "exit", FM_LAB_EXIT_USAGE, "message",
				 "no such event");
	int err = fm_stage_play(st, &e, error);
	return json_pack("{s:i, s:s}", "exit", err < 0 ? FM_LAB_EXIT_FAILED : FM_LAB_EXIT_OK,
			 "message", error);
}

/* One request, one answer. Return: false: the world is to go. */
static bool serve(struct fm_lab_stage *st, int fd)
{
	char line[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 1000) > 0 ? read(fd, line, sizeof(line) - 1) : -1;
	json_t *request = n > 0 ? json_loadb(line, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	bool stays = !json_is_true(json_object_get(request, "down"));

	if (request && stays) {
		json_t *answer = play_words(st, json_object_get(request, "event"));
		char *text = json_dumps(answer, JSON_COMPACT);
		dprintf(fd, "%s\n", text ? text : "");
		free(text);
		json_decref(answer);
	}
	json_decref(request);
	return stays;
}

static int next_timeout_ms(const struct fm_lab_stage *st)
{
	if (st->n_agenda == 0)
		return -1;
	int64_t left = st->agenda[0].at_ns - fm_stage_now();
	return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static void do_due(struct fm_lab_stage *st)
{
	while (st->n_agenda && st->agenda[0].at_ns <= fm_stage_now()) {
		struct fm_lab_agenda_item item = st->agenda[0];
		st->n_agenda--;
		memmove(&st->agenda[0], &st->agenda[1], (size_t)st->n_agenda * sizeof(item));
		fm_stage_do(st, &item);
	}
}

static void supervise(struct fm_lab_stage *st, int listen_fd)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	bool stays = true;

	while (stays && !fm_stage_is_interrupted()) {
		int n = poll(&p, 1, next_timeout_ms(st));
		do_due(st);
		int fd = n > 0 ? accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		stays = serve(st, fd);
		close(fd);
	}
}

static int listen_at(const struct fm_lab_instance *in)
{
	struct sockaddr_un sun = socket_of(in);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 8) < 0)
		return -errno;
	return fd;
}

/* The terminal belongs to who called; what is said goes to a file, and back when it failed. */
static void detach(const struct fm_lab_instance *in)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/log", in->dir);
	setsid();
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644), null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(fd >= 0 ? fd : null, STDOUT_FILENO);
	dup2(fd >= 0 ? fd : null, STDERR_FILENO);
}

static void send_log(const struct fm_lab_instance *in, int fd)
{
	char path[128], buf[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/log", in->dir);
	int log = open(path, O_RDONLY | O_CLOEXEC);
	while (log >= 0 && (n = read(log, buf, sizeof(buf))) > 0) {
		if (write(fd, buf, (size_t)n) < 0)
			break;
	}
	if (log >= 0)
		close(log);
}

static void supervisor(struct fm_lab_scenario *s, const struct fm_lab_instance *in, int tell_fd)
{
	struct fm_lab_stage *st = calloc(1, sizeof(*st));
	int guard_pid, guard_fd, listen_fd = -1;

	detach(in);
	fm_stage_catch_signals();
	guard_fd = fm_instance_guard(in, &guard_pid);
	int err = !st		 ? -ENOMEM
		  : guard_fd < 0 ? guard_fd
				 : fm_stage_set(st, s, in, FM_LAB_FLOWMOB, true);
	if (err == 0)
		err = listen_fd = listen_at(in);
	if (err < 0 && write(tell_fd, err == -EBADMSG ? "\2" : "\1", 1) == 1)
		send_log(in, tell_fd);
	if (err >= 0)
		st->links->zero_ns = fm_stage_now();
	if (err >= 0 && write(tell_fd, "", 1) == 1) {
		close(tell_fd);
		supervise(st, listen_fd);
	}
	if (guard_fd < 0)
		fm_instance_remove(in);
	else
		fm_instance_end(guard_fd, guard_pid);
	_exit(0);
}

/* The supervisor sends one octet, the exit code; then, unless that is 0, what went wrong. */
static int await(int fd)
{
	char buf[4096];
	ssize_t n;
	char code = FM_LAB_EXIT_FAILED;

	if (read(fd, &code, 1) != 1)
		return FM_LAB_EXIT_FAILED;
	while (code != FM_LAB_EXIT_OK && (n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stderr);
	return code;
}

static void keep_scenario(const struct fm_lab_instance *in, const char *path)
{
	char link[128], *real = realpath(path, NULL);

	snprintf(link, sizeof(link), "%s/scenario", in->dir);
	if (real && symlink(real, link) < 0)
		fprintf(stderr, "flowmob: %s: %s\n", link, strerror(errno));
	free(real);
}

static bool is_alive(const struct fm_lab_instance *in)
{
	struct sockaddr_un sun = socket_of(in);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive = fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

int fm_lab_up(const char *path, const char *instance)
{
	struct fm_lab_scenario *s;
	struct fm_lab_instance in;
	int tell[2], err = fm_scenario_read(path, &s);

	if (err < 0) {
		if (err != -EINVAL)
			fprintf(stderr, "flowmob: %s: %s\n", path, strerror(-err));
		return FM_LAB_EXIT_USAGE;
	}
	int code = open_instance(&in, instance);
	if (code == FM_LAB_EXIT_OK && (err = fm_instance_make(&in)) < 0) {
		fprintf(stderr, "flowmob: instance \"%s\": %s\n", in.name,
			err == -EEXIST ? "it stands already; remove it by: flowmob lab down"
				       : strerror(-err));
		code = FM_LAB_EXIT_FAILED;
	}
	if (code == FM_LAB_EXIT_OK && pipe2(tell, O_CLOEXEC) == 0) {
		keep_scenario(&in, path);
		pid_t pid = fork();
		if (pid == 0) {
			close(tell[0]);
			supervisor(s, &in, tell[1]);
		}
		close(tell[1]);
		code = pid < 0 ? FM_LAB_EXIT_FAILED : await(tell[0]);
	}
	fm_scenario_free(s);
	return code;
}

/* --- its clients --- */

static json_t *ask(const struct fm_lab_instance *in, json_t *request)
{
	struct sockaddr_un sun = socket_of(in);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *text = json_dumps(request, JSON_COMPACT), line[4096];
	json_t *answer = NULL;

	json_decref(request);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    dprintf(fd, "%s\n", text) > 0) {
		ssize_t n = read(fd, line, sizeof(line));
		answer = n > 0 ? json_loadb(line, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return answer;
}

/* Reads the event by the scenario that stands, so that mistakes are told here. */
static int check_words(const struct fm_lab_instance *in, char **words, int n_words)
{
	char path[128];
	struct fm_lab_scenario *s;
	struct fm_lab_event e;

	snprintf(path, sizeof(path), "%s/scenario", in->dir);
	if (fm_scenario_read(path, &s) < 0)
		return FM_LAB_EXIT_FAILED;
	int err = fm_scenario_event(s, words, n_words, &e);
	fm_scenario_free(s);
	return err < 0 ? FM_LAB_EXIT_USAGE : FM_LAB_EXIT_OK;
}

int fm_lab_do(const char *instance, char **words, int n_words, bool json)
{
	struct fm_lab_instance in;
	int code = open_instance(&in, instance);

	if (code != FM_LAB_EXIT_OK)
		return code;
	if (!is_alive(&in))
		return no_instance(&in);
	code = check_words(&in, words, n_words);
	if (code != FM_LAB_EXIT_OK)
		return code;
	json_t *list = json_array();
	for (int i = 0; i < n_words; i++)
		json_array_append_new(list, json_string(words[i]));
	json_t *answer = ask(&in, json_pack("{s:o}", "event", list));
	const char *message = json_string_value(json_object_get(answer, "message"));
	code = answer ? (int)json_integer_value(json_object_get(answer, "exit"))
		      : FM_LAB_EXIT_FAILED;
	if (code != FM_LAB_EXIT_OK)
		fprintf(stderr, "flowmob: %s: %s\n", words[0], message ? message : "no answer");
	else if (json)
		printf("{\"schema\":1,\"ok\":true}\n");
	json_decref(answer);
	return code;
}

int fm_lab_down(const char *instance)
{
	struct fm_lab_instance in;
	int code = open_instance(&in, instance);

	if (code != FM_LAB_EXIT_OK)
		return code;
	if (!fm_instance_is_there(&in))
		return no_instance(&in);
	json_decref(ask(&in, json_pack("{s:b}", "down", 1)));
	for (int i = 0; i < DOWN_MS / 10 && fm_instance_is_there(&in) && is_alive(&in); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	for (int i = 0; i < DOWN_MS / 10 && fm_instance_is_there(&in); i++) {
		if (i == 300)
			fm_instance_remove(&in); /* its guardian is gone too */
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return fm_instance_is_there(&in) ? FM_LAB_EXIT_FAILED : FM_LAB_EXIT_OK;
}

static void enter_cgroup(const struct fm_lab_instance *in, const char *node)
{
	char path[256], pid[16];

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", in->cgroup, node);
	snprintf(pid, sizeof(pid), "%d", getpid());
	int fd = in->cgroup[0] ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return; /* routers have none */
	if (write(fd, pid, strlen(pid)) < 0)
		fprintf(stderr, "flowmob: %s: %s\n", path, strerror(errno));
	close(fd);
}

/* `flowmob` inside means the one that built the world, installed or not. */
static void put_own_folder_on_path(void)
{
	const char *path = getenv("PATH");
	char self[2048], with_self[8192];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(with_self, sizeof(with_self), "%s%s%s", self, path ? ":" : "", path ? path : "");
	setenv("PATH", with_self, 1);
}

int fm_lab_exec(const char *instance, const char *node, char **argv)
{
	struct fm_lab_instance in;
	char name[128], socket_path[256];
	int code = open_instance(&in, instance);

	if (code != FM_LAB_EXIT_OK)
		return code;
	if (!fm_instance_is_there(&in))
		return no_instance(&in);
	fm_instance_ns_name(&in, node, name);
	int fd = fm_ns_open(name);
	if (fd < 0) {
		fprintf(stderr, "flowmob: instance \"%s\" has no node \"%s\"\n", in.name, node);
		return FM_LAB_EXIT_USAGE;
	}
	enter_cgroup(&in, node);
	if (setns(fd, CLONE_NEWNET) < 0) {
		fprintf(stderr, "flowmob: %s: %s\n", name, strerror(errno));
		return FM_LAB_EXIT_FAILED;
	}
	close(fd);
	snprintf(socket_path, sizeof(socket_path), "%s/%s/run/flowmob.sock", in.dir, node);
	setenv("FLOWMOB_SOCKET", socket_path, 1);
	put_own_folder_on_path();
	execvp(argv[0], argv);
	fprintf(stderr, "flowmob: %s: %s\n", argv[0], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}

static void list_one(void *names, const char *name)
{
	struct fm_lab_instance in;

	if (fm_instance_init(&in, name) == 0)
		json_array_append_new(
			names, json_pack("{s:s, s:b}", "name", name, "stands", is_alive(&in)));
}

int fm_lab_list(bool json)
{
	json_t *names = json_array(), *o;
	size_t i;

	fm_instance_each(list_one, names);
	if (json) {
		o = json_pack("{s:i, s:o}", "schema", 1, "instances", names);
		json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(o);
		return FM_LAB_EXIT_OK;
	}
	json_array_foreach(names, i, o) {
		bool stands = json_is_true(json_object_get(o, "stands"));
		printf("%s%s\n", json_string_value(json_object_get(o, "name")),
		       stands ? "" : "  (runs a scenario, or was left over)");
	}
	json_decref(names);
	return FM_LAB_EXIT_OK;
}
