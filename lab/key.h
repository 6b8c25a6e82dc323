/*
 * Keys of a scenario's sections: a table row names a key, who reads its value, and where it goes.
 * Readers of single values; each tells its own error, with the line.
 */
#ifndef FM_LAB_KEY_H
#define FM_LAB_KEY_H

#include <stddef.h>

#include "lab/scenario.h"

/* The scenario being filled, and the one error channel. */
struct fm_lab_reader {
	struct fm_lab_scenario *s;
	struct fm_tree_file *file;
};

/* A word and what it stands for; a list ends with a row without a name. */
struct fm_lab_word {
	const char *name;
	int value;
};

/**
 * struct fm_lab_key - one key of a section
 * @read: reads the value into out, or tells an error
 * @has:  bit to set in the section's `has`, where it has one
 */
struct fm_lab_key {
	const char *name;
	void (*read)(struct fm_lab_reader *r, const struct fm_tree *t, void *out);
	size_t offset;
	unsigned int has;
};

const struct fm_lab_key *fm_key_find(const struct fm_lab_key *keys, const char *name);

/* Reads every key of a section by its table. Return: the `has` bits. */
unsigned int fm_key_read_all(struct fm_lab_reader *r, const struct fm_tree *section,
			     const struct fm_lab_key *keys, void *out);

/* The one value of a key; NULL: it has none, or several, and that was told. */
const char *fm_key_single(struct fm_lab_reader *r, const struct fm_tree *t);

/* "delay: "5" is not HINT" */
void fm_key_refuse(struct fm_lab_reader *r, const struct fm_tree *t, const char *hint);

/* What a later version brings. */
void fm_key_not_yet(struct fm_lab_reader *r, const struct fm_tree *t, void *out);

/* Readers; what they write to is said behind each. */
void fm_key_skip(struct fm_lab_reader *r, const struct fm_tree *t, void *out); /* nothing */
void fm_key_text(struct fm_lab_reader *r, const struct fm_tree *t, void *out); /* const char * */
void fm_key_time(struct fm_lab_reader *r, const struct fm_tree *t, void *out); /* int64_t, us */
void fm_key_signed_time(struct fm_lab_reader *r, const struct fm_tree *t,
			void *out);					       /* int64_t, us */
void fm_key_size(struct fm_lab_reader *r, const struct fm_tree *t, void *out); /* int64_t */
void fm_key_percent(struct fm_lab_reader *r, const struct fm_tree *t,
		    void *out);							/* uint32_t, ppm */
void fm_key_bool(struct fm_lab_reader *r, const struct fm_tree *t, void *out);	/* bool */
void fm_key_count(struct fm_lab_reader *r, const struct fm_tree *t, void *out); /* int64_t */
void fm_key_dscp(struct fm_lab_reader *r, const struct fm_tree *t, void *out);	/* uint8_t */
void fm_key_mtu(struct fm_lab_reader *r, const struct fm_tree *t, void *out);	/* int64_t */
void fm_key_port(struct fm_lab_reader *r, const struct fm_tree *t, void *out);	/* uint16_t */
void fm_key_bit_rate(struct fm_lab_reader *r, const struct fm_tree *t,
		     void *out); /* double, bit/s */
/* Two doubles side by side: bits per second, packets per second; one of them stays 0. */
void fm_key_any_rate(struct fm_lab_reader *r, const struct fm_tree *t, void *out);
void fm_key_word(struct fm_lab_reader *r, const struct fm_tree *t, const struct fm_lab_word *words,
		 int *out);

/* Names that must stand in the scenario; int. */
void fm_key_access(struct fm_lab_reader *r, const struct fm_tree *t, void *out);
void fm_key_flow(struct fm_lab_reader *r, const struct fm_tree *t, void *out);
void fm_key_node(struct fm_lab_reader *r, const struct fm_tree *t, void *out);

/* Numbers of names, or -1. */
int fm_key_find_flow(const struct fm_lab_scenario *s, const char *name);

/* scenario_event.c: reads one section event; true: nothing was wrong. */
bool fm_event_read(struct fm_lab_reader *r, const struct fm_tree *t, struct fm_lab_event *e);

#endif
