/*
 * Configuration files of the daemons, written from the scenario: the host's section as it stands,
 * with what only the lab knows filled in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "lab/address.h"
#include "lab/node.h"
#include "lab/ns.h"

#define KEY_BYTES 32
#define ANCHOR_ACCESSES 7 /* an anchor has no more names for them: flowmob.conf(5) */

static void write_value(FILE *f, const char *v)
{
	fputc('"', f);
	for (; *v; v++) {
		if (*v == '"' || *v == '\\')
			fputc('\\', f);
		fputc(*v, f);
	}
	fputc('"', f);
}

/* With the line of the scenario behind it, for refusal.c. */
static void write_key(FILE *f, const struct fm_tree *t)
{
	fprintf(f, "    %s = ", t->key);
	if (t->is_list)
		fputc('{', f);
	for (size_t i = 0; i < t->n_values; i++) {
		if (i)
			fputs(", ", f);
		write_value(f, t->values[i]);
	}
	fprintf(f, "%s # %d\n", t->is_list ? "}" : "", t->line);
}

static void write_keys(FILE *f, const struct fm_tree *section)
{
	for (const struct fm_tree *t = section ? section->child : NULL; t; t = t->next)
		write_key(f, t);
}

static const struct fm_tree *section_of(const struct fm_tree *conf, const char *key,
					const char *title)
{
	for (const struct fm_tree *t = conf ? conf->child : NULL; t; t = t->next) {
		if (strcmp(t->key, key) == 0 && t->kind == FM_TREE_SECTION &&
		    (!title || strcmp(t->title, title) == 0))
			return t;
	}
	return NULL;
}

static void write_accesses(FILE *f, const struct fm_lab_scenario *s, const struct fm_tree *conf)
{
	for (int i = 0; i < s->n_accesses; i++) {
		const struct fm_lab_access *a = &s->accesses[i];
		const struct fm_tree *own = section_of(conf, "access", a->name);
		fputs("  access ", f);
		write_value(f, a->name);
		fprintf(f, " {\n    interface = \"%s\"\n", a->interface);
		if (!own || !fm_tree_find(own, "preference"))
			fprintf(f, "    preference = %d\n", 10 * (i + 1));
		write_keys(f, own);
		fputs("  }\n", f);
	}
}

/* No default block: session-lasting over all accesses in their order. */
static void write_default(FILE *f, const struct fm_lab_scenario *s)
{
	fputs("  default {\n    type = session-lasting\n    mode = active-standby\n    via = {", f);
	for (int i = 0; i < s->n_accesses; i++) {
		fputs(i ? ", " : "", f);
		write_value(f, s->accesses[i].name);
	}
	fputs("}\n    on-none = any\n  }\n", f);
}

static void write_sections(FILE *f, const struct fm_tree *conf)
{
	for (const struct fm_tree *t = conf ? conf->child : NULL; t; t = t->next) {
		if (t->kind == FM_TREE_VALUE) {
			if (strcmp(t->key, "agent") != 0 && strcmp(t->key, "attach") != 0)
				write_key(f, t);
			continue;
		}
		if (strcmp(t->key, "access") == 0 || strcmp(t->key, "anchor") == 0)
			continue;
		fprintf(f, "  %s ", t->key);
		if (*t->title)
			write_value(f, t->title);
		fputs(" {\n", f);
		write_keys(f, t);
		fputs("  }\n", f);
	}
}

static int write_host(const struct fm_lab_world *w, int host)
{
	const struct fm_tree *conf = w->s->hosts[host].conf;
	const struct fm_tree *anchor = section_of(conf, "anchor", NULL);
	char path[256], dir[128];

	fm_world_node_dir(w, host, dir);
	snprintf(path, sizeof(path), "%s/flowmob.conf", dir);
	FILE *f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "host {\n  anchor \"anchor\" {\n    address = {\"%s\", \"%s\"}\n",
		FM_LAB_ANCHOR_ADDRESS6(0), FM_LAB_ANCHOR_ADDRESS4(0));
	if (!anchor || !fm_tree_find(anchor, "id"))
		fprintf(f, "    id = \"%s@example.net\"\n", fm_scenario_node_name(host));
	fprintf(f, "    key-file = \"%s/anchor.key\"\n", dir);
	write_keys(f, anchor);
	fputs("  }\n", f);
	write_accesses(f, w->s, conf);
	write_sections(f, conf);
	if (!section_of(conf, "default", NULL))
		write_default(f, w->s);
	fputs("}\n", f);
	return fclose(f) == 0 ? 0 : -errno;
}

static void write_subscriber(FILE *f, const struct fm_lab_world *w, int host)
{
	static const char *const shared[] = { "replay", "home-address" };
	const struct fm_tree *anchor = section_of(w->s->hosts[host].conf, "anchor", NULL);
	const struct fm_tree *id = anchor ? fm_tree_find(anchor, "id") : NULL;
	char dir[128];

	fm_world_node_dir(w, host, dir);
	fprintf(f, "  subscriber \"%s%s\" {\n    key-file = \"%s/anchor.key\"\n",
		id && id->n_values ? id->values[0] : fm_scenario_node_name(host),
		id && id->n_values ? "" : "@example.net", dir);
	fputs("    types = {fixed, session-lasting, graceful-replacement}\n", f);
	for (size_t i = 0; anchor && i < 2; i++) {
		const struct fm_tree *t = fm_tree_find(anchor, shared[i]);
		if (t)
			write_key(f, t);
	}
	fputs("  }\n", f);
}

/* What the anchor can see of an access: every prefix that its hosts may come from. */
static void write_care_of(FILE *f, const struct fm_lab_scenario *s, int i)
{
	const struct fm_lab_access *a = &s->accesses[i];
	const char *comma = "";

	if (a->is_home) {
		fputs("\"" FM_LAB_HOME6 "\"", f);
		comma = ", ";
	} else if (a->family & FM_LAB_IPV6) {
		fprintf(f, "\"2001:db8:f%x00::/48\"", (unsigned)i);
		comma = ", ";
	}
	for (int g = 0; g < 2 && (a->family & FM_LAB_IPV4); g++) {
		fprintf(f, "%s\"%s\"", comma,
			a->family & FM_LAB_NAT ? fm_address_outer_prefix4(i, g).s
					       : fm_address_prefix4(i, g).s);
		comma = ", ";
	}
}

/* An operator's commands take the scenario's names of accesses. */
static void write_access_classes(FILE *f, const struct fm_lab_scenario *s)
{
	for (int i = 0; i < s->n_accesses && i < ANCHOR_ACCESSES; i++) {
		fputs("  access ", f);
		write_value(f, s->accesses[i].name);
		fputs(" { care-of = {", f);
		write_care_of(f, s, i);
		fputs("} }\n", f);
	}
}

static int write_anchor(const struct fm_lab_world *w, int n)
{
	char path[256], dir[128];

	fm_world_node_dir(w, FM_LAB_NODE_ANCHOR + n, dir);
	snprintf(path, sizeof(path), "%s/flowmob.conf", dir);
	FILE *f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "anchor {\n  address = {\"%s\", \"%s\"}\n  pool \"homes\" {\n",
		FM_LAB_ANCHOR_ADDRESS6(n), FM_LAB_ANCHOR_ADDRESS4(n));
	fprintf(f, "    prefix = \"%s\"\n    ipv4 = \"%s\"\n  }\n", FM_LAB_POOL6(n),
		FM_LAB_POOL4(n));
	write_access_classes(f, w->s);
	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		if (fm_node_has_daemon(w, h))
			write_subscriber(f, w, h);
	}
	fputs("}\n", f);
	return fclose(f) == 0 ? 0 : -errno;
}

static int write_key_file(const struct fm_lab_world *w, int host)
{
	unsigned char key[KEY_BYTES];
	char path[256], dir[128], line[160] = "256 hmac-sha256-128 ";
	size_t len = strlen(line);

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	for (size_t i = 0; i < sizeof(key); i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%02x", key[i]);
	snprintf(line + len, sizeof(line) - len, "\n");
	fm_world_node_dir(w, host, dir);
	snprintf(path, sizeof(path), "%s/anchor.key", dir);
	mode_t old = umask(077);
	int err = fm_write_file(path, line);
	umask(old);
	return err;
}

bool fm_node_has_daemon(const struct fm_lab_world *w, int node)
{
	if (node < FM_LAB_HOSTS)
		return w->s->hosts[node].is_there && !w->s->hosts[node].is_plain;
	if (node == FM_LAB_NODE_PEER || node - FM_LAB_NODE_ANCHOR >= w->s->n_anchors)
		return false;
	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		if (w->s->hosts[h].is_there && !w->s->hosts[h].is_plain)
			return true;
	}
	return false;
}

int fm_node_configure(const struct fm_lab_world *w)
{
	int err = 0;

	for (int n = 0; n < FM_LAB_NODES && err == 0; n++) {
		if (!fm_node_has_daemon(w, n))
			continue;
		if (n < FM_LAB_HOSTS) {
			err = write_key_file(w, n);
			if (err == 0)
				err = write_host(w, n);
		} else {
			err = write_anchor(w, n - FM_LAB_NODE_ANCHOR);
		}
	}
	return err;
}
