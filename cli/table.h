/*
 * Lists of JSON objects as tables: a row per column, widths from what is shown.
 */
#ifndef FM_CLI_TABLE_H
#define FM_CLI_TABLE_H

#include <jansson.h>

#include "cli/say.h"

#define FM_COLUMNS_MAX 16u

/*
 * One column: its head, the key of each object that it shows, how; ends with a row without a title.
 */
struct fm_column {
	const char *title, *key;
	enum fm_form form;
};

/*
 * Prints @rows under @columns, each line behind @indent spaces. Numbers stand at the right; a
 * column that is empty in every row is left out.
 */
void fm_table_print(const json_t *rows, const struct fm_column *columns, int indent);

#endif
