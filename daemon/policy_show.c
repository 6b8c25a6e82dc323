/*
 * Rules as JSON: what stands in the file.
 */
#include "daemon/policy_show.h"

static json_t *list_matches(const struct fm_conf_host *c, const struct fm_conf_rule *rule)
{
	json_t *list = json_array();
	char words[FM_MATCH_TEXT_MAX];

	for (uint8_t i = 0; i < rule->n_matches; i++)
		json_array_append_new(
			list, json_string(fm_match_words(&rule->matches[i], &c->classes, words)));
	return list;
}

static json_t *list_via(const struct fm_conf_host *c, const struct fm_conf_steer *s)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < s->n_via; i++)
		json_array_append_new(list, json_string(c->accesses[s->via[i]].name));
	return list;
}

static json_t *show_steer(const struct fm_conf_host *c, const struct fm_conf_steer *s)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:b}", "mode", fm_mode_names[s->mode], "via",
			 list_via(c, s), "on_none", fm_on_none_names[s->on_none], "on_recovery",
			 fm_on_recovery_names[s->on_recovery], "hold_back", s->hold_back);
}

json_t *fm_policy_rules(const struct fm_conf_host *c)
{
	json_t *list = json_array(), *row;
	char dscp[FM_DSCP_TEXT_MAX];

	for (uint8_t i = 0; i < c->n_rules; i++) {
		const struct fm_conf_rule *rule = &c->rules[i];

		row = json_pack("{s:s, s:s, s:i, s:o}", "rule", rule->name, "file",
				rule->place.file, "line", rule->place.line, "match",
				list_matches(c, rule));
		json_object_update_new(row, show_steer(c, &rule->steer));
		json_object_set_new(row, "dscp",
				    rule->dscp.is_set
					    ? json_string(fm_dscp_text(rule->dscp.code_point, dscp))
					    : json_null());
		json_array_append_new(list, row);
	}
	row = json_pack("{s:s, s:[], s:n}", "rule", "default", "match", "dscp");
	json_object_update_new(row, show_steer(c, &c->fallback.steer));
	json_array_append_new(list, row);
	return list;
}
