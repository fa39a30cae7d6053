/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.h - aligned columns for people, with a head. Cells are made safe for a terminal; a row of
 * which a part is empty is fine.
 */
#ifndef RESILVER_CLI_TABLE_H
#define RESILVER_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error.h"

#define TABLE_COLUMNS_MAX 8U

struct table_column {
    const char *head;
    bool is_number; /* to the right */
};

struct table {
    const struct table_column *columns; /* borrowed until table_done */
    size_t column_count;
    size_t widths[TABLE_COLUMNS_MAX]; /* in columns of the terminal */
    char **cells;                     /* owned, each too: row by row, without the head */
    size_t cell_count;
    size_t capacity;
};

void table_init(struct table *table, const struct table_column *columns, size_t count);

/* table_add - the next cell of the row at hand. Errors: ERR_LIMIT no memory. */
MUST_CHECK int table_add(struct table *table, const char *text, struct error *err);

/* table_add_row - a whole row: as many cells as there are columns. */
MUST_CHECK int table_add_row(struct table *table, const char *const *cells, struct error *err);

/* table_print - indent blanks before each line. */
void table_print(const struct table *table, size_t indent, FILE *out);

void table_done(struct table *table);

#endif
