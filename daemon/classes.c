/*
 * Words of rules as classes: each different one once.
 */
#include "daemon/classes.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_OCTETS 253u /* RFC 1035 §2.3.4, without the root's dot */
#define LABEL_MAX_OCTETS 63u

/* In the order of enum fm_owner_kind. */
const char *const fm_owner_names[] = { "unit", "user", "group", "cgroup", "program", NULL };

int fm_classes_sender(struct fm_classes *c, enum fm_owner_kind kind, const char *name)
{
	struct fm_conf_owner *new = &c->senders[c->n_senders];

	if (!*name || strlen(name) >= FM_OWNER_MAX)
		return -EINVAL;
	if ((kind == FM_OWNER_CGROUP || kind == FM_OWNER_PROGRAM) && name[0] != '/')
		return -EINVAL;
	for (uint8_t i = 0; i < c->n_senders; i++) {
		if (c->senders[i].kind == kind && strcmp(c->senders[i].name, name) == 0)
			return i;
	}
	if (c->n_senders == FM_CLASSES_MAX)
		return -ENOSPC;
	new->kind = (uint8_t)kind;
	memcpy(new->name, name, strlen(name) + 1);
	return c->n_senders++;
}

/* RFC 1035 §2.3.1, and underscores (RFC 8552). */
static bool is_name(const char *name)
{
	size_t label = 0;

	if (!*name || strlen(name) > NAME_MAX_OCTETS)
		return false;
	for (const char *p = name; *p; p++) {
		if (*p == '.' ? label == 0 : !isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_OCTETS)
			return false;
	}
	return label > 0;
}

int fm_classes_domain(struct fm_classes *c, const char *pattern)
{
	char *new = c->domains[c->n_domains < FM_CLASSES_MAX ? c->n_domains : 0];
	char text[FM_DOMAIN_MAX];
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '.')
		len--;
	if (len >= sizeof(text))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)tolower((unsigned char)pattern[i]);
	text[len] = '\0';
	if (!is_name(strncmp(text, "*.", 2) == 0 ? text + 2 : text))
		return -EINVAL;
	for (uint8_t i = 0; i < c->n_domains; i++) {
		if (strcmp(c->domains[i], text) == 0)
			return i;
	}
	if (c->n_domains == FM_CLASSES_MAX)
		return -ENOSPC;
	memcpy(new, text, len + 1);
	return c->n_domains++;
}

int fm_classes_network(struct fm_classes *c, const char *name)
{
	if (!*name || strlen(name) >= FM_NETWORK_MAX)
		return -EINVAL;
	for (uint8_t i = 0; i < c->n_networks; i++) {
		if (strcmp(c->networks[i], name) == 0)
			return i;
	}
	if (c->n_networks == FM_NETWORKS_MAX)
		return -ENOSPC;
	memcpy(c->networks[c->n_networks], name, strlen(name) + 1);
	return c->n_networks++;
}

bool fm_domain_fits(const char *pattern, const char *name)
{
	size_t len = strlen(name), tail;

	if (strncmp(pattern, "*.", 2) != 0)
		return strcmp(pattern, name) == 0;
	tail = strlen(pattern + 1);
	return len > tail && strcmp(name + len - tail, pattern + 1) == 0;
}

uint64_t fm_classes_of_name(const struct fm_classes *c, const char *name)
{
	uint64_t bits = 0;

	for (uint8_t i = 0; i < c->n_domains; i++) {
		if (fm_domain_fits(c->domains[i], name))
			bits |= 1ull << (FM_CLASS_DOMAIN_AT + i);
	}
	return bits;
}

/* The name of something: no pattern. */
static bool is_plain(const char *text)
{
	return !strpbrk(text, "*?[\\");
}

static bool covers_owner(const struct fm_conf_owner *a, const struct fm_conf_owner *b)
{
	int flags = a->kind == FM_OWNER_CGROUP ? FNM_PATHNAME | FNM_LEADING_DIR : FNM_PATHNAME;

	if (a->kind != b->kind)
		return false;
	if (a->kind == FM_OWNER_USER || a->kind == FM_OWNER_GROUP || !is_plain(b->name))
		return strcmp(a->name, b->name) == 0;
	return fnmatch(a->name, b->name, flags) == 0;
}

/* "*.org" has all that "*.example.org" and "example.org" have. */
static bool covers_domain(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || fm_domain_fits(a, b);
}

bool fm_class_covers(const struct fm_classes *c, unsigned a, unsigned b)
{
	if (a == b)
		return true;
	if ((a < FM_CLASS_DOMAIN_AT) != (b < FM_CLASS_DOMAIN_AT))
		return false;
	if (a < FM_CLASS_DOMAIN_AT)
		return covers_owner(&c->senders[a], &c->senders[b]);
	return covers_domain(c->domains[a - FM_CLASS_DOMAIN_AT],
			     c->domains[b - FM_CLASS_DOMAIN_AT]);
}
