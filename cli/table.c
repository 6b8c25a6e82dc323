/*
 * Two passes over the rows: the widest cell of each column, then the lines.
 */
#include "cli/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX 160

static const struct {
	const char *state, *colour;
} colours[] = {
	{ "up", "\033[32m" },	   { "bound", "\033[32m" },  { "ready", "\033[32m" },
	{ "suspect", "\033[33m" }, { "asking", "\033[33m" }, { "portal", "\033[33m" },
	{ "lossy", "\033[33m" },   { "slow", "\033[33m" },   { "down", "\033[31m" },
	{ "failed", "\033[31m" },
};

static const char *colour_of(const char *state)
{
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	}
	return NULL;
}

static bool is_right(const struct fm_column *c, const json_t *rows)
{
	size_t i;
	json_t *row;

	if (c->form != FM_FORM_TEXT)
		return c->form != FM_FORM_STATE;
	json_array_foreach(rows, i, row) {
		const json_t *v = json_object_get(row, c->key);
		if (v && !json_is_number(v) && !json_is_null(v))
			return false;
	}
	return true;
}

static int width_of(const struct fm_column *c, const json_t *rows)
{
	char cell[CELL_MAX];
	size_t i, width = strlen(c->title);
	json_t *row;

	json_array_foreach(rows, i, row) {
		fm_say_value(json_object_get(row, c->key), c->form, cell, sizeof(cell));
		if (strlen(cell) > width)
			width = strlen(cell);
	}
	return (int)width;
}

/* The last column is not padded: no line ends in spaces. */
static void print_cell(const char *cell, int width, bool right, bool last)
{
	if (right)
		printf("%*s", width, cell);
	else
		printf("%-*s", last ? 0 : width, cell);
	fputs(last ? "\n" : "  ", stdout);
}

static void print_state(const char *cell, int width, bool last)
{
	const char *colour = fm_say_colours() ? colour_of(cell) : NULL;
	int pad = last ? 0 : width - (int)strlen(cell);

	printf("%s%s%s%*s%s", colour ? colour : "", cell, colour ? "\033[0m" : "", pad, "",
	       last ? "\n" : "  ");
}

/* A column that knows nothing of any row only takes room. */
static bool is_empty(const struct fm_column *c, const json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		const json_t *v = json_object_get(row, c->key);
		if (v && !json_is_null(v))
			return false;
	}
	return true;
}

/* The columns that are shown, with their widths. */
struct layout {
	const struct fm_column *columns[FM_COLUMNS_MAX];
	int width[FM_COLUMNS_MAX];
	bool right[FM_COLUMNS_MAX];
	size_t n;
};

static void lay_out(struct layout *l, const json_t *rows, const struct fm_column *columns)
{
	for (l->n = 0; columns->title; columns++) {
		if (is_empty(columns, rows))
			continue;
		l->columns[l->n] = columns;
		l->width[l->n] = width_of(columns, rows);
		l->right[l->n++] = is_right(columns, rows);
	}
}

static void print_row(const struct layout *l, const json_t *row)
{
	char cell[CELL_MAX];

	for (size_t c = 0; c < l->n; c++) {
		const struct fm_column *column = l->columns[c];
		bool last = c + 1 == l->n;
		fm_say_value(json_object_get(row, column->key), column->form, cell, sizeof(cell));
		if (column->form == FM_FORM_STATE)
			print_state(cell, l->width[c], last);
		else
			print_cell(cell, l->width[c], l->right[c], last);
	}
}

void fm_table_print(const json_t *rows, const struct fm_column *columns, int indent)
{
	struct layout l;
	size_t i;
	json_t *row;

	lay_out(&l, rows, columns);
	printf("%*s", indent, "");
	for (size_t c = 0; c < l.n; c++)
		print_cell(l.columns[c]->title, l.width[c], l.right[c], c + 1 == l.n);
	json_array_foreach(rows, i, row) {
		printf("%*s", indent, "");
		print_row(&l, row);
	}
}
