/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/human.h"

#define GAP_COLUMNS 2U

void table_init(struct table *table, const struct table_column *columns, size_t count)
{
    assert(count > 0 && count <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns, .column_count = count};
    for (size_t i = 0; i < count; i++) {
        table->widths[i] = strlen(columns[i].head);
    }
}

static int make_room(struct table *table, struct error *err)
{
    if (table->cell_count < table->capacity) {
        return 0;
    }
    size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
    char **cells = reallocarray(table->cells, capacity, sizeof *cells);
    if (cells == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot make a table of %zu cells", capacity);
    }
    table->cells = cells;
    table->capacity = capacity;
    return 0;
}

int table_add(struct table *table, const char *text, struct error *err)
{
    char shown[PATH_TEXT_MAX];
    size_t column = table->cell_count % table->column_count;
    size_t columns = human_name(text, 0, shown, sizeof shown);

    if (make_room(table, err) < 0) {
        return -1;
    }
    char *cell = strdup(shown);
    if (cell == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot make a table");
    }
    table->cells[table->cell_count++] = cell;
    table->widths[column] = columns > table->widths[column] ? columns : table->widths[column];
    return 0;
}

int table_add_row(struct table *table, const char *const *cells, struct error *err)
{
    assert(table->cell_count % table->column_count == 0);
    for (size_t i = 0; i < table->column_count; i++) {
        if (table_add(table, cells[i], err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Nothing behind a row's last cell, so that a narrow terminal does not wrap blanks. */
static void print_cell(const struct table *table, size_t column, const char *text, bool is_last,
                       FILE *out)
{
    char shown[PATH_TEXT_MAX];
    size_t used = human_name(text, 0, shown, sizeof shown);
    size_t pad = table->widths[column] - used;

    if (table->columns[column].is_number) {
        (void)fprintf(out, "%*s%s", (int)pad, "", text);
    } else {
        (void)fprintf(out, "%s%*s", text, is_last ? 0 : (int)pad, "");
    }
    (void)fprintf(out, "%*s", is_last ? 0 : (int)GAP_COLUMNS, "");
}

static void print_row(const struct table *table, const char *const *cells, size_t indent, FILE *out)
{
    size_t count = table->column_count;

    while (count > 1 && cells[count - 1][0] == '\0') {
        count--;
    }
    (void)fprintf(out, "%*s", (int)indent, "");
    for (size_t i = 0; i < count; i++) {
        print_cell(table, i, cells[i], i + 1 == count, out);
    }
    (void)fputc('\n', out);
}

void table_print(const struct table *table, size_t indent, FILE *out)
{
    assert(table->cell_count % table->column_count == 0);
    const char *heads[TABLE_COLUMNS_MAX] = {NULL};
    for (size_t i = 0; i < table->column_count; i++) {
        heads[i] = table->columns[i].head;
    }
    print_row(table, heads, indent, out);
    for (size_t at = 0; at < table->cell_count; at += table->column_count) {
        print_row(table, (const char *const *)table->cells + at, indent, out);
    }
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct table){0};
}
