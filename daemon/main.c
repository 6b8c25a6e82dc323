/*
 * flowmobd: the command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/host_block.h"
#include "daemon/host_guard.h"

static const char usage[] =
	"usage: flowmobd [-c FILE] [--state DIR] [--run DIR] [--pin DIR] [--cgroup DIR]\n"
	"\n"
	"  -c, --config FILE  configuration            (/etc/flowmob/flowmob.conf)\n"
	"  --state DIR        what outlives a restart  (/var/lib/flowmob)\n"
	"  --run DIR          control socket           (/run/flowmob)\n"
	"  --pin DIR          eBPF maps and programs   (/sys/fs/bpf/flowmob)\n"
	"  --cgroup DIR       sockets that it serves   (where cgroup v2 is mounted)\n"
	"  --guard            guard home prefixes as the last run left them, and block what rules\n"
	"                     say, end: for the boot\n"
	"  --check            read the configuration, say what is wrong with it, end\n"
	"  -h, --help         this text\n";

/* Where cgroup v2 is: the first such line of mountinfo; on hybrid machines not /sys/fs/cgroup. */
static char *find_cgroup(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *found = NULL;
	size_t cap = 0;

	while (f && !found && getline(&line, &cap, f) > 0) {
		char point[256];

		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*s %*s %*s %*s %255s", point) == 1)
			found = strdup(point);
	}
	free(line);
	if (f)
		fclose(f);
	return found ? found : strdup("/sys/fs/cgroup");
}

static int check(const char *path)
{
	struct fm_config *c = fm_config_read(path, NULL, stderr);

	if (!c)
		return 2;
	fm_config_free(c);
	return 0;
}

/* Return: -1 go on; else the exit status. */
static int read_options(int argc, char **argv, struct fm_options *o)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 's' },
		{ "run", required_argument, NULL, 'r' },
		{ "pin", required_argument, NULL, 'p' },
		{ "cgroup", required_argument, NULL, 'g' },
		{ "check", no_argument, NULL, 'k' },
		{ "guard", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char **slots[] = { ['c'] = &o->config,
				 ['s'] = &o->state,
				 ['r'] = &o->run,
				 ['p'] = &o->pin,
				 ['g'] = &o->cgroup };
	bool is_check = false, is_boot = false;

	for (int c; (c = getopt_long(argc, argv, "c:h", names, NULL)) != -1;) {
		if (c == 'h')
			return fputs(usage, stdout) < 0;
		if (c == 'k')
			is_check = true;
		else if (c == 'b')
			is_boot = true;
		else if (c == '?')
			return fputs(usage, stderr), 2;
		else
			*slots[c] = optarg;
	}
	if (optind < argc)
		return fputs(usage, stderr), 2;
	if (is_boot)
		return fm_host_guard_boot(o->state) | fm_host_block_boot(o);
	return is_check ? check(o->config) : -1;
}

int main(int argc, char **argv)
{
	char *cgroup = find_cgroup();
	struct fm_options options = { .config = "/etc/flowmob/flowmob.conf",
				      .state = "/var/lib/flowmob",
				      .run = "/run/flowmob",
				      .pin = "/sys/fs/bpf/flowmob",
				      .cgroup = cgroup };
	int ret = read_options(argc, argv, &options);
	struct fm_daemon *d;

	if (ret < 0) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return 1;
		d->options = options;
		ret = fm_daemon_run(d);
		free(d);
	}
	free(cgroup);
	return ret;
}
