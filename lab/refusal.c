/*
 * What a daemon says against its configuration, told with the lines of the scenario: conf.c ends
 * each line that it took from there with the line's number.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/node.h"
#include "lab/ns.h"

/*
 * The number behind the last # of a line of the configuration; 0: the lab wrote that line itself.
 */
static int scenario_line(const char *conf, int line)
{
	char text[4096];
	FILE *f = fopen(conf, "re");
	int found = 0;

	for (int i = 0; f && i < line && fgets(text, sizeof(text), f); i++) {
		const char *mark = strrchr(text, '#');
		found = mark && i == line - 1 ? atoi(mark + 1) : 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* "flowmobd: CONF:LINE: WHAT" becomes "flowmob: SCENARIO:LINE: HOST: WHAT". */
static void tell(const struct fm_lab_world *w, int host, const char *conf, const char *said)
{
	const char *at = strstr(said, conf);
	char *rest;

	if (!at) {
		fputs(said, stderr);
		return;
	}
	long line = strtol(at + strlen(conf) + 1, &rest, 10);
	int own = scenario_line(conf, (int)line);
	fprintf(stderr, "flowmob: %s:%d: %s%s", w->s->file.name,
		own ? own : w->s->hosts[host].conf->line, fm_scenario_node_name(host), rest);
}

static pid_t start_check(const struct fm_lab_world *w, const char *daemon, const char *conf,
			 int host, int out[2])
{
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fm_ns_fork(w->ns[host], NULL, true);
	if (pid != 0)
		return pid;
	dup2(out[1], STDERR_FILENO);
	execl(daemon, "flowmobd", "--check", "-c", conf, (char *)NULL);
	_exit(127);
}

int fm_node_check(const struct fm_lab_world *w, const char *daemon, int host)
{
	char dir[128], conf[160], said[1024];
	int out[2], status = 0;

	fm_world_node_dir(w, host, dir);
	snprintf(conf, sizeof(conf), "%s/flowmob.conf", dir);
	pid_t pid = start_check(w, daemon, conf, host, out);
	if (pid < 0)
		return pid;
	close(out[1]);
	FILE *f = fdopen(out[0], "re");
	while (f && fgets(said, sizeof(said), f))
		tell(w, host, conf, said);
	if (f)
		fclose(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBADMSG;
}
