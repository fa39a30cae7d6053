/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"
#include "cli/render_json.h"
#include "cli/render_live.h"
#include "cli/render_text.h"

#include <jansson.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S 1000000000ULL

static struct report report;
static char *printed; /* what the last print gave; freed by the next */

static FILE *begin_print(size_t *size)
{
    free(printed);
    printed = NULL;
    FILE *out = open_memstream(&printed, size);
    assert_non_null(out);
    return out;
}

static const char *text_of(bool verbose)
{
    size_t size = 0;
    FILE *out = begin_print(&size);

    render_text_result(out, &report, verbose);
    assert_int_equal(fclose(out), 0);
    return printed;
}

static const char *error_line(const struct error *err)
{
    size_t size = 0;
    FILE *out = begin_print(&size);

    render_text_error(out, err);
    assert_int_equal(fclose(out), 0);
    return printed;
}

static json_t *json_of_report(void)
{
    size_t size = 0;
    FILE *out = begin_print(&size);

    render_json_result(out, &report);
    assert_int_equal(fclose(out), 0);
    assert_ptr_equal(strchr(printed, '\n'), printed + strlen(printed) - 1);
    return json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
}

static json_t *json_of_error(const struct error *err)
{
    size_t size = 0;
    FILE *out = begin_print(&size);

    render_json_error(out, err);
    assert_int_equal(fclose(out), 0);
    return json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
}

static int set_up(void **state)
{
    (void)state;
    report = (struct report){
        .elapsed_ns = 1204567890,
        .disk_count = 1,
        .sent_bytes = 43000000,
        .received_bytes = 9000,
        .compressed_from_bytes = 0,
    };
    report.disks[0] = (struct report_disk){
        .source = "a.raw",
        .target = "b.raw",
        .size_bytes = 4 * GIB,
        .compared_bytes = 4 * GIB,
        .skipped_zero_bytes = GIB,
        .different_bytes = 41 * MIB,
        .shipped_bytes = 40 * MIB,
        .written_bytes = 41 * MIB,
        .verified_bytes = 41 * MIB,
        .has_proof = true,
    };
    memset(report.disks[0].proof, 0xab, REPORT_PROOF_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(printed);
    printed = NULL;
    return 0;
}

static void a_disk_in_sync_is_one_line(void **state)
{
    (void)state;
    assert_string_equal(text_of(false),
                        "b.raw: in sync with a.raw: 4.0 GiB compared, 41.0 MiB different, "
                        "41.0 MiB written and verified, 1.2 s, 3.3 GiB/s\n");
    report.disks[0].different_bytes = 0;
    report.disks[0].written_bytes = 0;
    report.disks[0].verified_bytes = 0;
    assert_string_equal(text_of(false), "b.raw: in sync with a.raw: 4.0 GiB compared, nothing "
                                        "different, 1.2 s, 3.3 GiB/s\n");
}

static void what_an_earlier_run_did_is_told_and_not_counted_as_speed(void **state)
{
    (void)state;
    report.disks[0].resumed_bytes = 2 * GIB;
    report.elapsed_ns = S;
    assert_string_equal(text_of(false),
                        "b.raw: in sync with a.raw: 4.0 GiB compared (2.0 GiB of it by an earlier "
                        "run), 41.0 MiB different, 41.0 MiB written and verified, 1.0 s, "
                        "2.0 GiB/s\n");
}

static void a_difference_is_counted_in_blocks(void **state)
{
    (void)state;
    report.is_check = true;
    report.disks[0].different_bytes = 192 * KIB;
    report.disks[0].written_bytes = 0;
    assert_string_equal(text_of(false),
                        "b.raw differs from a.raw: 3 blocks of 64 KiB (192 KiB) of 4.0 GiB\n");
    report.disks[0].different_bytes = 512;
    assert_string_equal(text_of(false),
                        "b.raw differs from a.raw: 1 block of 64 KiB (512 bytes) of 4.0 GiB\n");
    report.disks[0].different_bytes = 0;
    assert_string_equal(text_of(false), "b.raw: in sync with a.raw: 4.0 GiB compared, nothing "
                                        "different, 1.2 s, 3.3 GiB/s\n");
}

static void verbose_shows_proof_and_traffic(void **state)
{
    (void)state;
    assert_non_null(strstr(text_of(true), "  1.0 GiB of it known as zeros on both sides"));
    assert_non_null(strstr(text_of(true), "  proof sha256:abababababababababababababababababababab"
                                          "abababababababababababab\n"));
    assert_non_null(strstr(text_of(true), "  source sent 41.0 MiB, received 8.8 KiB\n"));
    report.compressed_from_bytes = 80 * MIB;
    report.disks[0].has_proof = false;
    assert_null(strstr(text_of(true), "proof"));
    assert_non_null(strstr(text_of(true), "; compressed from 80.0 MiB\n"));
}

static void several_disks_have_a_line_each_and_one_together(void **state)
{
    (void)state;
    report.disk_count = 2;
    report.disks[1] = report.disks[0];
    report.disks[1].source = "c.raw";
    report.disks[1].target = "d.raw";
    report.elapsed_ns = 2 * S;
    assert_string_equal(text_of(false),
                        "b.raw: in sync with a.raw: 4.0 GiB compared, 41.0 MiB different, 41.0 MiB "
                        "written and verified\n"
                        "d.raw: in sync with c.raw: 4.0 GiB compared, 41.0 MiB different, 41.0 MiB "
                        "written and verified\n"
                        "2 disks in sync: 8.0 GiB compared, 82.0 MiB different, 82.0 MiB written "
                        "and verified, 2.0 s, 4.0 GiB/s\n");
    report.is_check = true;
    report.disks[1].different_bytes = 0;
    assert_non_null(strstr(text_of(false), "1 of 2 disks differ: 8.0 GiB compared, 41.0 MiB "
                                           "different, 2.0 s"));
}

static void names_from_outside_do_not_reach_the_terminal_raw(void **state)
{
    (void)state;
    report.disks[0].target = "x\x1b[31m\nresilver: done";
    assert_memory_equal(text_of(false), "x?[31m?resilver: done: in sync", 30);
    struct error err = {.kind = ERR_IO, .message = "a\x1b[2Jb", .disk = "x\ny"};
    assert_string_equal(error_line(&err), "resilver: x?y: a?[2Jb\n");
}

static void an_error_is_one_line_with_disk_and_offset(void **state)
{
    struct error err = {.kind = ERR_IO, .message = "reading failed", .disk = "/srv/b.raw"};

    (void)state;
    assert_string_equal(error_line(&err), "resilver: /srv/b.raw: reading failed\n");
    err.has_offset = true;
    err.offset_bytes = 65536;
    assert_string_equal(error_line(&err), "resilver: /srv/b.raw: reading failed (at byte 65536)\n");
    err = (struct error){.message = "/srv/b.raw does not exist", .disk = "/srv/b.raw"};
    assert_string_equal(error_line(&err), "resilver: /srv/b.raw does not exist\n");
    err = (struct error){.message = "no memory"};
    assert_string_equal(error_line(&err), "resilver: no memory\n");
}

static json_int_t integer_at(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void json_has_every_key(void **state)
{
    json_t *root = json_of_report();
    json_t *disk = json_array_get(json_object_get(root, "disks"), 0);
    json_t *wire = json_object_get(root, "wire");

    (void)state;
    assert_int_equal(integer_at(root, "schema"), 1);
    assert_string_equal(json_string_value(json_object_get(root, "result")), "in-sync");
    assert_true(json_real_value(json_object_get(root, "elapsed_seconds")) == 1.204);
    assert_non_null(strstr(printed, "\"elapsed_seconds\":1.204,"));
    assert_string_equal(json_string_value(json_object_get(disk, "source")), "a.raw");
    assert_string_equal(json_string_value(json_object_get(disk, "target")), "b.raw");
    assert_true(integer_at(disk, "size_bytes") == 4294967296);
    assert_true(integer_at(disk, "compared_bytes") == 4294967296);
    assert_true(integer_at(disk, "skipped_zero_bytes") == 1073741824);
    assert_true(integer_at(disk, "resumed_bytes") == 0);
    assert_true(integer_at(disk, "different_bytes") == 42991616);
    assert_true(integer_at(disk, "written_bytes") == 42991616);
    assert_true(integer_at(disk, "verified_bytes") == 42991616);
    assert_string_equal(json_string_value(json_object_get(disk, "proof")),
                        "sha256:ababababababababababababababababababababababababababababababa"
                        "bab");
    assert_int_equal(json_object_size(disk), 10);
    assert_true(integer_at(wire, "sent_bytes") == 43000000);
    assert_true(integer_at(wire, "received_bytes") == 9000);
    assert_true(integer_at(wire, "compressed_from_bytes") == 0);
    assert_int_equal(json_object_size(wire), 3);
    assert_int_equal(json_object_size(root), 5);
    json_decref(root);
}

static void json_tells_differences_of_a_check_only(void **state)
{
    (void)state;
    report.is_check = true;
    report.disks[0].has_proof = false;
    json_t *root = json_of_report();
    assert_string_equal(json_string_value(json_object_get(root, "result")), "different");
    json_t *disk = json_array_get(json_object_get(root, "disks"), 0);
    assert_true(json_is_null(json_object_get(disk, "proof")));
    json_decref(root);
    report.disks[0].different_bytes = 0;
    root = json_of_report();
    assert_string_equal(json_string_value(json_object_get(root, "result")), "in-sync");
    json_decref(root);
}

static void json_errors_have_null_for_what_is_not_known(void **state)
{
    struct error err = {.kind = ERR_WRONG_STATE, .message = "a \"quoted\" word"};

    (void)state;
    json_t *root = json_of_error(&err);
    json_t *error = json_object_get(root, "error");
    assert_string_equal(json_string_value(json_object_get(root, "result")), "failed");
    assert_string_equal(json_string_value(json_object_get(error, "kind")), "state");
    assert_string_equal(json_string_value(json_object_get(error, "message")), "a \"quoted\" word");
    assert_true(json_is_null(json_object_get(error, "disk")));
    assert_true(json_is_null(json_object_get(error, "offset_bytes")));
    json_decref(root);
    err.has_offset = true;
    err.offset_bytes = 0;
    error_set_disk(&err, "b.raw");
    root = json_of_error(&err);
    error = json_object_get(root, "error");
    assert_string_equal(json_string_value(json_object_get(error, "disk")), "b.raw");
    assert_true(integer_at(error, "offset_bytes") == 0);
    json_decref(root);
}

static void json_takes_names_that_are_no_utf8(void **state)
{
    (void)state;
    report.disks[0].source = "a\xff\xfe.raw";
    report.disks[0].target = "caf\xc3\xa9 \xe7\xa3 x\xed\xa0\x80";
    json_t *root = json_of_report();
    json_t *disk = json_array_get(json_object_get(root, "disks"), 0);
    assert_string_equal(json_string_value(json_object_get(disk, "source")),
                        "a\xef\xbf\xbd\xef\xbf\xbd.raw");
    assert_string_equal(
        json_string_value(json_object_get(disk, "target")),
        "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(root);
}

static const char *live_line(size_t columns)
{
    static char line[LIVE_COLUMNS_MAX * 4 + 1];
    struct report_disk *disk = &report.disks[0];
    struct live_rate rate = {0};

    disk->compared_bytes = GIB;
    live_rate_update(&rate, disk, S);
    render_live_line(disk, &rate, columns, line, sizeof line);
    return line;
}

static void a_live_line_has_all_that_there_is_room_for(void **state)
{
    (void)state;
    assert_string_equal(live_line(200), "b.raw   25%  1.0 GiB compared  41.0 MiB different  "
                                        "40.0 MiB shipped  1.0 GiB/s  0:04 left");
    assert_string_equal(live_line(80), "b.raw   25%  41.0 MiB different  40.0 MiB shipped  "
                                       "1.0 GiB/s  0:04 left");
    assert_string_equal(live_line(43), "b.raw   25%  41.0 MiB different  0:04 left");
    assert_string_equal(live_line(23), "b.raw   25%  0:04 left");
    assert_string_equal(live_line(12), "...   25%");
    for (size_t columns = 1; columns < 120; columns++) {
        assert_true(strlen(live_line(columns)) <= columns);
    }
}

static void a_live_line_cuts_the_beginning_of_the_name(void **state)
{
    (void)state;
    report.disks[0].target = "/srv/replica/virtual-machine-17/system-disk.raw";
    assert_memory_equal(live_line(80), "...7/system-disk.raw   25%  ", 28);
    assert_true(strlen(live_line(80)) <= 80);
    report.disks[0].target = "a\x1b[31m";
    assert_memory_equal(live_line(80), "a?[31m  ", 8);
}

static void a_live_line_at_both_ends(void **state)
{
    char line[LIVE_COLUMNS_MAX];
    struct live_rate rate = {0};
    struct report_disk *disk = &report.disks[0];

    (void)state;
    disk->compared_bytes = 0;
    live_rate_update(&rate, disk, S);
    render_live_line(disk, &rate, 200, line, sizeof line);
    assert_non_null(strstr(line, "    0%  0 bytes compared"));
    assert_non_null(strstr(line, "-:-- left"));
    disk->compared_bytes = 4 * GIB - 1;
    render_live_line(disk, &rate, 200, line, sizeof line);
    assert_non_null(strstr(line, "   99%"));
    disk->compared_bytes = 4 * GIB;
    render_live_line(disk, &rate, 200, line, sizeof line);
    assert_non_null(strstr(line, "  100%"));
    assert_non_null(strstr(line, "  done"));
    disk->size_bytes = 0;
    disk->compared_bytes = 0;
    render_live_line(disk, &rate, 200, line, sizeof line);
    assert_non_null(strstr(line, "  100%"));
}

static void the_rate_follows_and_does_not_count_what_was_resumed(void **state)
{
    struct live_rate rate = {0};
    struct report_disk disk = {.size_bytes = 100 * GIB};

    (void)state;
    disk.resumed_bytes = 50 * GIB;
    disk.compared_bytes = 51 * GIB;
    live_rate_update(&rate, &disk, S);
    assert_true(rate.bytes_per_s == (double)GIB);
    /* From 1 GiB/s to 2 GiB/s: slowly at first, there in the end, never beyond. */
    double before = rate.bytes_per_s;
    for (uint64_t i = 2; i < 200; i++) {
        disk.compared_bytes += GIB / 5;
        live_rate_update(&rate, &disk, S + (i - 1) * S / 10);
        assert_true(rate.bytes_per_s >= before && rate.bytes_per_s <= 2.001 * (double)GIB);
        before = rate.bytes_per_s;
    }
    assert_true(rate.bytes_per_s > 1.95 * (double)GIB);
    /* The same moment again changes nothing. */
    live_rate_update(&rate, &disk, rate.sample_ns);
    assert_true(rate.bytes_per_s == before);
}

/* What the live lines write into a pipe. */
static void draw(struct render_live *live, uint64_t elapsed_ns, char *out, size_t size_bytes)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    live->out = fdopen(fds[1], "w");
    assert_non_null(live->out);
    report.elapsed_ns = elapsed_ns;
    render_live_update(live, &report);
    assert_int_equal(fclose(live->out), 0);
    ssize_t got = read(fds[0], out, size_bytes - 1);
    assert_true(got >= 0);
    out[got] = '\0';
    (void)close(fds[0]);
}

static void lines_are_redrawn_in_place_and_not_too_often(void **state)
{
    struct render_live live = {.in_place = true};
    char text[4096];

    (void)state;
    report.disk_count = 2;
    report.disks[1] = report.disks[0];
    report.disks[1].target = "d.raw";
    draw(&live, 0, text, sizeof text);
    assert_memory_equal(text, "\rb.raw", 6);
    assert_non_null(strstr(text, "\033[K\n\rd.raw"));
    assert_int_equal(live.drawn_count, 2);
    draw(&live, S / 100, text, sizeof text);
    assert_string_equal(text, "");
    draw(&live, S, text, sizeof text);
    assert_memory_equal(text, "\r\033[2A\rb.raw", 11);
    assert_int_equal(live.drawn_count, 2);
}

static void more_disks_than_rows_show_those_at_work(void **state)
{
    struct render_live live = {.in_place = true};
    char text[16384];

    (void)state;
    report.disk_count = 40; /* a pipe has no size, so 24 rows are taken for granted */
    for (uint32_t i = 1; i < report.disk_count; i++) {
        report.disks[i] = report.disks[0];
    }
    report.disks[30].target = "busy.raw";
    report.disks[30].compared_bytes = GIB;
    draw(&live, 0, text, sizeof text);
    assert_memory_equal(text, "\rbusy.raw", 9);
    assert_non_null(strstr(text, "... and 39 more disks"));
    assert_int_equal(live.drawn_count, 2);
}

static void without_a_terminal_lines_follow_each_other(void **state)
{
    struct render_live live = {.in_place = false};
    char text[4096];

    (void)state;
    draw(&live, 0, text, sizeof text);
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(live.drawn_count, 0);
    draw(&live, S, text, sizeof text);
    assert_string_equal(text, "");
    render_live_clear(&live);
}

/* A terminal that takes nothing must not stop the run. */
static void a_full_pipe_is_not_waited_for(void **state)
{
    struct render_live live = {.in_place = true};
    int fds[2];
    char filler[4096] = "";

    (void)state;
    assert_int_equal(pipe(fds), 0);
    live.out = fdopen(dup(fds[1]), "w");
    assert_non_null(live.out);
    for (size_t i = 0; i < 65536 / sizeof filler; i++) { /* what a pipe holds */
        assert_int_equal(write(fds[1], filler, sizeof filler), sizeof filler);
    }
    render_live_update(&live, &report);
    assert_int_equal(live.drawn_count, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)fclose(live.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_disk_in_sync_is_one_line, set_up),
        cmocka_unit_test_setup(what_an_earlier_run_did_is_told_and_not_counted_as_speed, set_up),
        cmocka_unit_test_setup(a_difference_is_counted_in_blocks, set_up),
        cmocka_unit_test_setup(verbose_shows_proof_and_traffic, set_up),
        cmocka_unit_test_setup(several_disks_have_a_line_each_and_one_together, set_up),
        cmocka_unit_test_setup(names_from_outside_do_not_reach_the_terminal_raw, set_up),
        cmocka_unit_test_setup(an_error_is_one_line_with_disk_and_offset, set_up),
        cmocka_unit_test_setup(json_has_every_key, set_up),
        cmocka_unit_test_setup(json_tells_differences_of_a_check_only, set_up),
        cmocka_unit_test_setup(json_errors_have_null_for_what_is_not_known, set_up),
        cmocka_unit_test_setup(json_takes_names_that_are_no_utf8, set_up),
        cmocka_unit_test_setup(a_live_line_has_all_that_there_is_room_for, set_up),
        cmocka_unit_test_setup(a_live_line_cuts_the_beginning_of_the_name, set_up),
        cmocka_unit_test_setup(a_live_line_at_both_ends, set_up),
        cmocka_unit_test_setup(the_rate_follows_and_does_not_count_what_was_resumed, set_up),
        cmocka_unit_test_setup(lines_are_redrawn_in_place_and_not_too_often, set_up),
        cmocka_unit_test_setup(more_disks_than_rows_show_those_at_work, set_up),
        cmocka_unit_test_setup(without_a_terminal_lines_follow_each_other, set_up),
        cmocka_unit_test_setup(a_full_pipe_is_not_waited_for, set_up),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("render", tests, NULL, tear_down);
}
