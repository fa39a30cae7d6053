/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attributes.h"

static const struct table_column columns[] = {
    {"NAME", false}, {"SIZE", true}, {"NOTE", false}, {"", false}};

static struct table table;

static int begin(void **state)
{
    (void)state;
    table_init(&table, columns, ARRAY_COUNT(columns));
    return 0;
}

static int end(void **state)
{
    (void)state;
    table_done(&table);
    return 0;
}

static void add(const char *name, const char *size, const char *note, const char *last)
{
    const char *cells[] = {name, size, note, last};

    for (size_t i = 0; i < ARRAY_COUNT(cells); i++) {
        assert_int_equal(table_add(&table, cells[i], NULL), 0);
    }
}

static void expect(size_t indent, const char *wanted)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);

    assert_non_null(out);
    table_print(&table, indent, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void numbers_stand_to_the_right_and_lines_have_no_blank_end(void **state)
{
    (void)state;
    add("a", "1", "", "");
    add("longer", "12345", "note", "");
    add("", "", "x", "last");
    expect(0, "NAME     SIZE  NOTE\n"
              "a           1\n"
              "longer  12345  note\n"
              "               x     last\n");
}

static void a_table_without_rows_is_its_head(void **state)
{
    (void)state;
    expect(2, "  NAME  SIZE  NOTE\n");
}

static void what_takes_two_columns_counts_as_two(void **state)
{
    (void)state;
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        skip();
    }
    add("\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", "1", "", "");
    add("abcdef", "1", "", "");
    expect(0, "NAME    SIZE  NOTE\n"
              "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2     1\n"
              "abcdef     1\n");
}

static void no_cell_moves_the_cursor(void **state)
{
    (void)state;
    add("a\033[5A\n", "1", "", "");
    expect(0, "NAME    SIZE  NOTE\n"
              "a?[5A?     1\n");
}

static void many_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        add("x", "1", "y", "z");
    }
    assert_int_equal(table.cell_count, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_stand_to_the_right_and_lines_have_no_blank_end,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_table_without_rows_is_its_head, begin, end),
        cmocka_unit_test_setup_teardown(what_takes_two_columns_counts_as_two, begin, end),
        cmocka_unit_test_setup_teardown(no_cell_moves_the_cursor, begin, end),
        cmocka_unit_test_setup_teardown(many_rows, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
