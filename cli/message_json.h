/*
 * A mobility message as JSON, and that JSON as text for people.
 * Names are those of the tables in wire/; the contract is in the manual flowmob-decode(1).
 */
#ifndef FM_CLI_MESSAGE_JSON_H
#define FM_CLI_MESSAGE_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "wire/msg.h"

/**
 * fm_message_json() - all fields and options of a decoded message
 * @vendor_id: whose vendor-specific options hold on-demand prefixes
 * Return: a new object, or NULL without memory.
 */
json_t *fm_message_json(const struct fm_msg *m, uint32_t vendor_id);

/* The object for a refused message. */
json_t *fm_refusal_json(enum fm_refusal why, uint32_t offset);

/* Prints what either function returned, field by field, with RFC sections. */
void fm_message_text(const json_t *message, FILE *out);

#endif
