/*
 * The operator's rules, thousands of them: what eBPF asks about a flow is answered by the engine of
 * core/classify.h and by where the flow's class goes now.
 */
#ifndef FM_DAEMON_ANCHOR_RULES_H
#define FM_DAEMON_ANCHOR_RULES_H

#include <jansson.h>

#include "core/classify.h"
#include "datapath/loader.h"
#include "net/loop.h"

struct fm_daemon;

/**
 * struct fm_anchor_rules - the file of rules, laid out for the engine
 * @memory:  of the engine, @bytes of it; @classes: of each rule, by the engine's number
 * @n_asked: flows that were asked about; @n_fitting: those that a rule gave a class
 * @full:    how full access classes were at the last look: where classes go depends on it
 */
struct fm_anchor_rules {
	struct fm_classify engine;
	void *memory;
	size_t bytes;
	uint8_t *classes;
	uint32_t n;
	uint64_t n_asked, n_fitting, full;
	struct fm_watch asked;
};

int fm_anchor_rules_open(struct fm_daemon *d);
void fm_anchor_rules_close(struct fm_daemon *d);

/* The configuration is another one. */
int fm_anchor_rules_reload(struct fm_daemon *d);

/* Where classes go may have changed: by a drain or a load. */
void fm_anchor_rules_renew(struct fm_daemon *d);
/* The same, each second, if loads say otherwise than at the last look. */
void fm_anchor_rules_look(struct fm_daemon *d);

/* Do the rules speak of that binding's flows? */
bool fm_anchor_rules_apply(const struct fm_daemon *d, uint32_t id);

/* The class of such a flow, as it is counted; its code point and flow label are not known. */
uint8_t fm_anchor_rules_class(const struct fm_daemon *d, uint32_t id, const struct fm_tuple *flow);

/* Rules, memory and questions, for people; NULL: there are no rules. */
json_t *fm_anchor_rules_json(const struct fm_daemon *d);

#endif
