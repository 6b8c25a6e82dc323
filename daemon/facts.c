/*
 * Facts of a flow, and whether they fit a match: word by word, so that the one that fails has a
 * name.
 */
#include "daemon/facts.h"

#include <errno.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/who.h"

#define ALL_KINDS                                                                                  \
	(1u << FM_OWNER_UNIT | 1u << FM_OWNER_CGROUP | 1u << FM_OWNER_USER | 1u << FM_OWNER_GROUP)

/* Does some word have one of these kinds? */
static bool asks_for(const struct fm_classes *classes, uint8_t kinds)
{
	for (uint8_t i = 0; i < classes->n_senders; i++) {
		if (kinds >> classes->senders[i].kind & 1)
			return true;
	}
	return false;
}

void fm_facts_find(const struct fm_daemon *d, const struct fm_live_flow *f,
		   const struct fm_classes *classes, struct fm_facts *out)
{
	const struct fm_tuple *t = &f->info.tuple;
	const struct fm_home *home = fm_homes_find(&d->host->homes, &t->local);
	struct fm_socket s;

	*out = (struct fm_facts){ .tuple = *t, .type = home ? home->type : 0 };
	if (classes->n_senders == 0 || fm_sockets_find(&d->host->diag, t, &s) < 0)
		return;
	out->uid = s.uid;
	out->known = ALL_KINDS;
	if (f->pid && asks_for(classes, 1u << FM_OWNER_PROGRAM) &&
	    fm_proc_helper_program(&d->host->proc, f->pid, out->program) == 0)
		out->known |= 1u << FM_OWNER_PROGRAM;
	/* the process is quick to ask; to find a cgroup by its number takes a walk over all */
	if (asks_for(classes, FM_WHO_BY_CGROUP) &&
	    (f->pid == 0 || fm_proc_cgroup_of(f->pid, out->cgroup, sizeof(out->cgroup)) < 0) &&
	    (s.cgroup == 0 || fm_proc_cgroup(s.cgroup, out->cgroup, sizeof(out->cgroup)) < 0))
		out->known &= (uint8_t)~FM_WHO_BY_CGROUP;
}

static bool is_of_family(const struct fm_facts *f, const struct fm_selector *s)
{
	return (s->format == 1) == fm_ip_is_v4(&f->tuple.remote);
}

/* One field of a selector, as a match of its own. */
static enum fm_fits fit_field(const struct fm_facts *f, const struct fm_selector *s,
			      enum fm_selector_field field, char word[FM_MATCH_TEXT_MAX])
{
	struct fm_selector one = *s;
	char text[FM_MATCH_TEXT_MAX];

	one.has_start = (uint8_t)(1u << field);
	one.has_end &= one.has_start;
	fm_match_text(&one, text);
	memmove(word, text + 4, strlen(text + 4) + 1); /* without "ip6 " */
	if (field == FM_SEL_TC || field == FM_SEL_LABEL || field == FM_SEL_SPI)
		return FM_FITS_PERHAPS;
	return fm_flows_match(&f->tuple, &one) ? FM_FITS : FM_FITS_NOT;
}

static enum fm_fits fit_sender(const struct fm_facts *f, const struct fm_conf_owner *owner)
{
	const struct fm_conf_owners one = { .n = 1, .list = { *owner } };
	const struct fm_who who = {
		.uid = f->uid, .gid = UINT32_MAX, .cgroup = f->cgroup, .program = f->program
	};

	if (!(f->known >> owner->kind & 1))
		return FM_FITS_PERHAPS;
	return fm_who_fits(&one, &who) ? FM_FITS : FM_FITS_NOT;
}

struct named {
	const char *pattern;
	bool fits;
};

static void look_at_name(void *ctx, const char *name)
{
	struct named *n = ctx;

	n->fits |= fm_domain_fits(n->pattern, name);
}

static enum fm_fits fit_class(const struct fm_daemon *d, const struct fm_facts *f,
			      const struct fm_classes *classes, unsigned class)
{
	struct named n = { .pattern = classes->domains[class % FM_CLASSES_MAX] };

	if (class < FM_CLASS_DOMAIN_AT)
		return fit_sender(f, &classes->senders[class]);
	fm_domains_names(d, &f->tuple.remote, look_at_name, &n);
	return n.fits ? FM_FITS : FM_FITS_NOT;
}

/* What one word came to: a failure ends the search, what nobody can tell is kept. */
static bool note(enum fm_fits one, const char *text, enum fm_fits *all,
		 char word[FM_MATCH_TEXT_MAX])
{
	if (one == FM_FITS || (one == FM_FITS_PERHAPS && *all == FM_FITS_PERHAPS))
		return true;
	*all = one;
	snprintf(word, FM_MATCH_TEXT_MAX, "%s", text);
	return one == FM_FITS_PERHAPS;
}

static bool fit_conditions(const struct fm_daemon *d, const struct fm_facts *f,
			   const struct fm_classes *classes, const struct fm_match *m,
			   char word[FM_MATCH_TEXT_MAX])
{
	const struct fm_match none = { 0 };
	struct fm_match one = none;

	if (m->types && !(m->types >> f->type & 1)) {
		one.types = m->types;
	} else if (m->network) {
		one.network = m->network;
		if (fm_host_rules_holds(d, classes, &one))
			one = none;
	}
	if (!one.types && !one.network && m->is_metered) {
		one.is_metered = true;
		if (fm_host_rules_holds(d, classes, &one))
			one = none;
	}
	if (!one.types && !one.network && !one.is_metered)
		return true;
	fm_match_words(&one, classes, word);
	return false;
}

enum fm_fits fm_facts_fit(const struct fm_daemon *d, const struct fm_facts *f,
			  const struct fm_classes *classes, const struct fm_match *m,
			  char word[FM_MATCH_TEXT_MAX])
{
	const struct fm_selector *s = &m->selectors[0];
	char text[FM_MATCH_TEXT_MAX];
	enum fm_fits all = FM_FITS;

	word[0] = '\0';
	if (m->n == 2 && !is_of_family(f, s))
		s = &m->selectors[1];
	if (!is_of_family(f, s)) {
		snprintf(word, FM_MATCH_TEXT_MAX, "%s", s->format == 1 ? "ip4" : "ip6");
		return FM_FITS_NOT;
	}
	for (enum fm_selector_field k = FM_SEL_SRC; k <= FM_SEL_PROTO; k++) {
		if (s->has_start >> k & 1 && !note(fit_field(f, s, k, text), text, &all, word))
			return FM_FITS_NOT;
	}
	for (unsigned k = 0; k < 2 * FM_CLASSES_MAX; k++) {
		if (m->need >> k & 1 &&
		    !note(fit_class(d, f, classes, k), fm_class_text(classes, k, text), &all, word))
			return FM_FITS_NOT;
	}
	return fit_conditions(d, f, classes, m, word) ? all : FM_FITS_NOT;
}
