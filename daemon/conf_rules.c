/*
 * The file of rules of an anchor: a line each, the title of a class, or - for none, and a match.
 * The first line that fits a flow says its class.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_file.h"
#include "daemon/conf_read.h"

#define LINE_MAX_BYTES 1024
#define GROW 1024u
#define OF_PACKETS (1u << FM_SEL_TC | 1u << FM_SEL_LABEL | 1u << FM_SEL_SPI)

static bool add(struct fm_conf_anchor *a, const struct fm_selector *s, uint8_t class)
{
	if (a->n_rules % GROW == 0) {
		void *more = realloc(a->rules, (a->n_rules + GROW) * sizeof(*a->rules));

		if (!more)
			return false;
		a->rules = more;
	}
	a->rules[a->n_rules++] = (struct fm_conf_flow_rule){ *s, class };
	return true;
}

/* From 1; 0: none of them; -1: no such class. */
static int class_of(const struct fm_conf_anchor *a, const char *name)
{
	if (strcmp(name, "-") == 0)
		return 0;
	for (uint8_t i = 0; i < a->n_classes; i++) {
		if (strcmp(a->classes[i].name, name) == 0)
			return i + 1;
	}
	return -1;
}

/* Returns what is wrong with the line, NULL: nothing. */
static const char *read_line(struct fm_conf_reading *r, char *line)
{
	struct fm_conf_anchor *a = &r->config->anchor;
	char *words = line + strcspn(line, " \t");
	struct fm_match m;
	int class;

	if (*words)
		*words++ = '\0';
	words += strspn(words, " \t");
	class = class_of(a, line);
	if (class < 0)
		return "it begins with no class of this anchor";
	r->why[0] = '\0';
	if (fm_match_read(words, NULL, &m, r->why) < 0)
		return r->why[0] ? r->why : "it is no match";
	if (m.types || m.need || m.is_metered || m.network)
		return "an anchor sees packets only";
	for (uint8_t i = 0; i < m.n; i++) {
		if (m.selectors[i].has_start & OF_PACKETS)
			return "a flow is asked about once, and its packets may differ in DSCP, "
			       "flow label and SPI";
		if (a->n_rules == FM_CONF_FLOW_RULES_MAX)
			return "one rule too many: there is room for 65536, a line that names no "
			       "address family is two";
		if (!add(a, &m.selectors[i], (uint8_t) class))
			return "out of memory";
	}
	return NULL;
}

static bool read_lines(struct fm_conf_reading *r, const char *path, FILE *f)
{
	char line[LINE_MAX_BYTES];

	for (int number = 1; fgets(line, sizeof(line), f); number++) {
		bool is_whole = strchr(line, '\n') || feof(f);
		char *start = line + strspn(line, " \t");
		const char *why;

		start[strcspn(start, "\r\n")] = '\0';
		if (is_whole && (*start == '\0' || *start == '#'))
			continue;
		why = is_whole ? read_line(r, start) : "it is too long, or has an octet 0";
		if (!why)
			continue;
		fm_conf_refuse(r->err, path, number, why,
			       "write CLASS MATCH, for example: video udp dst 2001:db8::/32 dport "
			       "5004");
		return false;
	}
	return true;
}

bool fm_conf_rules_read(struct fm_conf_reading *r, const char *path)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f) {
		fprintf(r->err, "flowmobd: %s: %s\n", path, strerror(errno));
		return false;
	}
	ok = read_lines(r, path, f);
	if (ferror(f)) { /* half of the rules would be worse than none */
		fprintf(r->err, "flowmobd: %s: cannot be read to its end: %s\n", path,
			strerror(errno));
		ok = false;
	}
	(void)fclose(f);
	return ok;
}
