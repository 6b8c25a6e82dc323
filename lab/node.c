/*
 * The daemons of a world: started in their node's network namespace, asked over their sockets.
 */
#include "lab/node.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/ns.h"

#define ANSWER_MS 1000
#define LOG_TAIL 3000

int fm_node_find_daemon(char path[4096])
{
	static const char *const places[] = { "flowmobd", "../daemon/flowmobd",
					      "../sbin/flowmobd" };
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, 4096, "%s/%s", self, places[i]);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

static void log_to_file(const char *dir)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/log", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644),
	    null = open("/dev/null", O_RDONLY);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/* The library lies in the tree's lab/, or where it was installed. */
static void preload_clock(const char *daemon, const char *dir)
{
	static const char *const places[] = { "../lab", "../lib/flowmob", "../../lib/flowmob" };
	char path[4600], real[4096];

	if (!realpath(daemon, real))
		return;
	*strrchr(real, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/libflowmob-lab-clock.so", real, places[i]);
		if (access(path, R_OK) == 0)
			setenv("LD_PRELOAD", path, 1);
	}
	snprintf(path, sizeof(path), "%s/clock", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0 && ftruncate(fd, sizeof(int64_t)) == 0)
		setenv("FLOWMOB_LAB_CLOCK", path, 1);
	if (fd >= 0)
		close(fd);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1); /* of a sanitized build */
}

int fm_node_clock_jump(const struct fm_lab_world *w, int node, int64_t by_us, char error[160])
{
	char dir[128], path[160];
	int64_t offset_ns = 0;

	fm_world_node_dir(w, node, dir);
	snprintf(path, sizeof(path), "%s/clock", dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &offset_ns, sizeof(offset_ns), 0) != sizeof(offset_ns)) {
		snprintf(error, 160, "%s has no clock of its own", fm_scenario_node_name(node));
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	offset_ns += by_us * 1000;
	ssize_t n = pwrite(fd, &offset_ns, sizeof(offset_ns), 0);
	close(fd);
	return n == sizeof(offset_ns) ? 0 : -EIO;
}

/* Those of the machine are in no world: a node has a file of its own, empty at first. */
static void use_own_resolvers(const char *dir)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	if (unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) == 0)
		(void)mount(path, "/etc/resolv.conf", NULL, MS_BIND,
			    NULL); /* fails where there is none */
}

static void exec_daemon(const struct fm_lab_world *w, const char *daemon, int node, bool own_clock)
{
	char dir[128], conf[160], state[160], run[160], pin[160], cgroup[200];

	fm_world_node_dir(w, node, dir);
	fm_world_node_cgroup(w, node, cgroup);
	snprintf(conf, sizeof(conf), "%s/flowmob.conf", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(pin, sizeof(pin), "%s/%s", w->in->bpf, fm_scenario_node_name(node));
	mkdir(state, 0755);
	mkdir(run, 0755);
	mkdir(pin, 0755);
	use_own_resolvers(dir);
	setsid(); /* a ctrl-C is for the lab, not for its daemons */
	log_to_file(dir);
	if (own_clock)
		preload_clock(daemon, dir);
	execl(daemon, "flowmobd", "-c", conf, "--state", state, "--run", run, "--pin", pin,
	      "--cgroup", cgroup, (char *)NULL);
	fprintf(stderr, "cannot start %s: %s\n", daemon, strerror(errno));
	_exit(127);
}

pid_t fm_node_start(const struct fm_lab_world *w, const char *daemon, int node, bool own_clock)
{
	/*
	 * In the instance's cgroup, not the node's: what hooks the node's programs leaves it alone.
	 */
	pid_t pid = fm_ns_fork(w->ns[node], w->in->cgroup, false);

	if (pid == 0)
		exec_daemon(w, daemon, node, own_clock);
	return pid;
}

void fm_node_socket(const struct fm_lab_world *w, int node, char buf[108])
{
	snprintf(buf, 108, "%s/%s/run/flowmob.sock", w->in->dir, fm_scenario_node_name(node));
}

static int dial(const char path[108])
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.107s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Reads up to the end of a line, for at most a second between two pieces. */
static char *read_line(int fd)
{
	size_t len = 0, room = 65536;
	char *line = malloc(room);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (line && poll(&p, 1, ANSWER_MS) > 0) {
		ssize_t n = read(fd, line + len, room - len - 1);
		if (n <= 0)
			break;
		len += (size_t)n;
		line[len] = '\0';
		if (strchr(line, '\n'))
			return line;
		if (room - len < 4096) {
			char *grown = realloc(line, room *= 2);
			if (!grown)
				break;
			line = grown;
		}
	}
	free(line);
	return NULL;
}

json_t *fm_node_ask(const struct fm_lab_world *w, int node, json_t *request)
{
	char path[108];
	json_t *answer = NULL;

	fm_node_socket(w, node, path);
	char *text = json_dumps(request, JSON_COMPACT);
	int fd = text ? dial(path) : -1;
	json_decref(request);
	if (fd >= 0 && dprintf(fd, "%s\n", text) > 0) {
		char *line = read_line(fd);
		if (line)
			answer = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
		free(line);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	return answer;
}

static bool wants_address(const struct fm_lab_world *w, int host)
{
	const struct fm_tree *conf = w->s->hosts[host].conf;
	const struct fm_tree *def = conf ? fm_tree_find(conf, "default") : NULL;
	const struct fm_tree *type = def ? fm_tree_find(def, "type") : NULL;

	if (def)
		return type && type->n_values && strcmp(type->values[0], "nonpersistent") != 0;
	return true;
}

int fm_node_bound(const struct fm_lab_world *w, int host)
{
	json_t *status = fm_node_ask(w, host, json_pack("{s:s}", "command", "status")), *access;
	size_t i;
	int n = 0;

	if (!status)
		return -ECONNREFUSED;
	json_array_foreach(json_object_get(status, "accesses"), i, access) {
		const char *state = json_string_value(json_object_get(access, "state"));
		const char *coa = json_string_value(json_object_get(access, "care_of_address"));
		n += state && strcmp(state, "up") == 0 && coa && *coa &&
		     json_integer_value(json_object_get(access, "bid")) > 0;
	}
	if (wants_address(w, host) && json_array_size(json_object_get(status, "addresses")) == 0)
		n = 0;
	json_decref(status);
	return n;
}

static bool ends_with_port(const char *text, uint16_t port)
{
	const char *colon = text ? strrchr(text, ':') : NULL;

	return colon && strtoul(colon + 1, NULL, 10) == port;
}

/* The daemon's number of the flow. NULL: it knows no such flow. To be released. */
static json_t *find_flow(const struct fm_lab_world *w, const struct fm_lab_flow *f, uint16_t port)
{
	const char *proto = f->kind == FM_LAB_DATAGRAMS ? "udp" : "tcp";
	json_t *answer = fm_node_ask(w, f->host, json_pack("{s:s}", "command", "flows")), *flow;
	json_t *id = NULL;
	size_t i;

	json_array_foreach(json_object_get(answer, "flows"), i, flow) {
		const char *p = json_string_value(json_object_get(flow, "proto"));
		if (p && strcmp(p, proto) == 0 &&
		    ends_with_port(json_string_value(json_object_get(flow, "remote")), f->port) &&
		    (!port ||
		     ends_with_port(json_string_value(json_object_get(flow, "local")), port)))
			id = json_incref(json_object_get(flow, "id"));
		if (id)
			break;
	}
	json_decref(answer);
	return id;
}

int fm_node_move(const struct fm_lab_world *w, int flow, uint16_t host_port, int access,
		 char error[160])
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	json_t *id = find_flow(w, f, host_port);

	if (!id) {
		snprintf(error, 160, "the host knows no flow \"%.100s\"", f->name);
		return -ENOENT;
	}
	json_t *answer = fm_node_ask(w, f->host,
				     json_pack("{s:s, s:o, s:s}", "command", "move", "flow", id,
					       "access", w->s->accesses[access].name));
	const json_t *refusal = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(refusal, "message"));
	const char *code = json_string_value(json_object_get(refusal, "code"));
	bool is_unknown = code && strcmp(code, "no-such-flow") == 0;
	snprintf(error, 160, "%.150s",
		 !answer   ? "the daemon does not answer"
		 : message ? message
			   : "");
	json_decref(answer);
	return is_unknown ? -ENOENT : *error ? -EIO : 0;
}

void fm_node_print_log(const struct fm_lab_world *w, int node)
{
	char dir[128], path[160], text[LOG_TAIL + 1];

	fm_world_node_dir(w, node, dir);
	snprintf(path, sizeof(path), "%s/log", dir);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	if (fseek(f, -LOG_TAIL, SEEK_END) < 0)
		rewind(f);
	size_t n = fread(text, 1, LOG_TAIL, f);
	fclose(f);
	text[n] = '\0';
	fprintf(stderr, "--- log of %s:\n%s", fm_scenario_node_name(node), text);
}
