/*
 * What people and programs are told: errors, one JSON object, quantities with units.
 */
#ifndef FM_CLI_SAY_H
#define FM_CLI_SAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * fm_say_error() - tell on stderr what went wrong
 * @code: a short name that programs compare
 * @next: what to do next; NULL: nothing helps
 * Return: @exit_code, so that a command ends with `return fm_say_error(…)`.
 */
int fm_say_error(bool json, int exit_code, const char *code, const char *next, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Prints an object on a line of its own. */
void fm_say_json(const json_t *object);

/* Adds "schema": 1 and prints; takes the reference. Return: @exit_code. */
int fm_say_object(json_t *object, int exit_code);

/* Is @stdout a terminal that shows colours? */
bool fm_say_colours(void);

/* How a number is shown. */
enum fm_form {
	FM_FORM_TEXT,	 /* as it stands; a list is joined by commas */
	FM_FORM_STATE,	 /* a word, coloured on a terminal */
	FM_FORM_MS,	 /* 12.3 ms */
	FM_FORM_PERCENT, /* 0.5 % */
	FM_FORM_BPS,	 /* 12.4 Mbit/s */
	FM_FORM_SECONDS, /* 1h 30m */
};

/* Writes @value for people; "-" when it is missing. Return: @out. */
const char *fm_say_value(const json_t *value, enum fm_form form, char *out, size_t size);

/* Of `rule_places` of an answer: a line where some rules have none. */
void fm_say_places(const json_t *places);

#endif
