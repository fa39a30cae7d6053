/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_live.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/env.h"
#include "cli/human.h"

#define DRAW_EVERY_NS (200 * NS_PER_MS) /* in place: often enough to look alive */
#define PRINT_EVERY_NS (2 * NS_PER_S)   /* line by line: a log that can still be read */
#define RATE_MEMORY_S 3.0               /* the rate follows a change within about this time */
#define NAME_COLUMNS_MAX 32U
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24

void live_rate_update(struct live_rate *rate, const struct report_disk *disk, uint64_t now_ns)
{
    /* What an earlier run settled counts as done at once and would look like a burst. */
    uint64_t done_bytes = disk->compared_bytes - disk->resumed_bytes;
    assert(now_ns >= rate->sample_ns);
    double seconds = (double)(now_ns - rate->sample_ns) / (double)NS_PER_S;

    if (seconds <= 0.0 || done_bytes < rate->done_bytes) {
        return;
    }
    double latest = (double)(done_bytes - rate->done_bytes) / seconds;
    double weight = rate->has_rate ? seconds / (seconds + RATE_MEMORY_S) : 1.0;
    rate->bytes_per_s += (latest - rate->bytes_per_s) * weight;
    rate->has_rate = rate->has_rate || done_bytes > 0;
    rate->sample_ns = now_ns;
    rate->done_bytes = done_bytes;
}

/* The fields behind the name, in the order in which they are shown. */
enum live_field { LIVE_PERCENT, LIVE_COMPARED, LIVE_DIFFERENT, LIVE_SHIPPED, LIVE_RATE, LIVE_LEFT };
#define LIVE_FIELDS 6

/* What goes first when there is no room; the percentage never does. */
static const enum live_field drop_order[] = {LIVE_COMPARED, LIVE_SHIPPED, LIVE_RATE, LIVE_DIFFERENT,
                                             LIVE_LEFT};

static void format_left(const struct report_disk *disk, const struct live_rate *rate,
                        char out[HUMAN_MAX])
{
    char clock[HUMAN_MAX];
    uint64_t left_bytes = disk->size_bytes - disk->compared_bytes;

    if (left_bytes == 0) {
        (void)snprintf(out, HUMAN_MAX, "done");
    } else if (rate->has_rate && rate->bytes_per_s >= 1.0) {
        double seconds = (double)left_bytes / rate->bytes_per_s;
        uint64_t whole = seconds < 1e9 ? (uint64_t)seconds + 1 : 1000000000U; /* never 0 */
        (void)snprintf(out, HUMAN_MAX, "%.30s left", human_clock(whole, clock));
    } else {
        (void)snprintf(out, HUMAN_MAX, "-:-- left");
    }
}

static void format_fields(const struct report_disk *disk, const struct live_rate *rate,
                          char fields[LIVE_FIELDS][HUMAN_MAX])
{
    char size[HUMAN_MAX];
    /* Rounded down: 100 % means all of it. A disk of no bytes is done before it starts. */
    unsigned percent =
        disk->size_bytes == 0
            ? 100
            : (unsigned)((double)disk->compared_bytes * 100.0 / (double)disk->size_bytes);

    percent = percent == 100 && disk->compared_bytes < disk->size_bytes ? 99 : percent;
    (void)snprintf(fields[LIVE_PERCENT], HUMAN_MAX, "%3u%%", percent);
    (void)snprintf(fields[LIVE_COMPARED], HUMAN_MAX, "%.30s compared",
                   human_size(disk->compared_bytes, size));
    (void)snprintf(fields[LIVE_DIFFERENT], HUMAN_MAX, "%.30s different",
                   human_size(disk->different_bytes, size));
    (void)snprintf(fields[LIVE_SHIPPED], HUMAN_MAX, "%.30s shipped",
                   human_size(disk->shipped_bytes, size));
    (void)human_rate((uint64_t)rate->bytes_per_s, NS_PER_S, fields[LIVE_RATE]);
    format_left(disk, rate, fields[LIVE_LEFT]);
}

static size_t fields_width(char fields[LIVE_FIELDS][HUMAN_MAX])
{
    size_t width = 0;

    for (size_t i = 0; i < LIVE_FIELDS; i++) {
        width += fields[i][0] == '\0' ? 0 : strlen(fields[i]) + 2;
    }
    return width;
}

void render_live_line(const struct report_disk *disk, const struct live_rate *rate, size_t columns,
                      char *out, size_t size_bytes)
{
    char fields[LIVE_FIELDS][HUMAN_MAX];
    size_t name_columns = columns / 4 < NAME_COLUMNS_MAX ? columns / 4 : NAME_COLUMNS_MAX;

    assert(columns < size_bytes);
    name_columns = name_columns > 0 ? name_columns : 1;
    format_fields(disk, rate, fields);
    size_t used_columns = human_name(disk->target, name_columns, out, size_bytes);
    for (size_t i = 0; i < ARRAY_COUNT(drop_order); i++) {
        if (used_columns + fields_width(fields) > columns) {
            fields[drop_order[i]][0] = '\0';
        }
    }
    for (size_t i = 0; i < LIVE_FIELDS; i++) {
        size_t len_bytes = strlen(out);
        size_t width = strlen(fields[i]) + 2;
        if (fields[i][0] != '\0' && used_columns + width <= columns &&
            len_bytes + width < size_bytes) {
            (void)snprintf(out + len_bytes, size_bytes - len_bytes, "  %s", fields[i]);
            used_columns += width;
        }
    }
}

static void terminal_size(FILE *out, size_t *columns, size_t *rows)
{
    struct winsize size = {0};
    bool is_known =
        ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

    *columns = is_known ? size.ws_col : DEFAULT_COLUMNS;
    *rows = is_known ? size.ws_row : DEFAULT_ROWS;
    *columns = *columns < LIVE_COLUMNS_MAX ? *columns : LIVE_COLUMNS_MAX;
}

/*
 * A terminal whose output was stopped (Ctrl-S) must not stop the session: its peer would take us
 * for dead. Asking beforehand is not enough, since it may be stopped in the middle of a line, and
 * the descriptor that we were given is shared with others, who want to wait: so it is opened once
 * more.
 */
static void open_terminal(struct render_live *live)
{
    char path[32];

    live->is_opened = true;
    live->terminal_fd = -1;
    if (isatty(fileno(live->out)) == 1) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(live->out));
        live->terminal_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
}

/* For what is no terminal, a pipe say: whether it takes something now. */
static bool is_writable_now(FILE *out)
{
    struct pollfd fd = {.fd = fileno(out), .events = POLLOUT};

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0;
}

/* Writes what the terminal takes of what waits. Whether all of it went. */
static bool write_waiting(struct render_live *live)
{
    size_t written_bytes = 0;

    while (written_bytes < live->unwritten_bytes) {
        ssize_t put = write(live->terminal_fd, live->unwritten + written_bytes,
                            live->unwritten_bytes - written_bytes);
        if (put <= 0) {
            break;
        }
        written_bytes += (size_t)put;
    }
    live->unwritten_bytes -= written_bytes;
    if (live->unwritten_bytes > 0) {
        memmove(live->unwritten, live->unwritten + written_bytes, live->unwritten_bytes);
        return false;
    }
    free(live->unwritten);
    live->unwritten = NULL;
    return true;
}

/* Takes text over. */
static void put_text(struct render_live *live, char *text, size_t len_bytes)
{
    if (live->terminal_fd >= 0) {
        live->unwritten = text;
        live->unwritten_bytes = len_bytes;
        (void)write_waiting(live); /* the rest goes first next time */
        return;
    }
    (void)fwrite(text, 1, len_bytes, live->out);
    (void)fflush(live->out); /* progress that is not seen is no failure */
    free(text);
}

static void draw_disk(const struct render_live *live, FILE *frame, const struct report *report,
                      uint32_t index, size_t columns)
{
    char line[LIVE_COLUMNS_MAX * 4 + 1]; /* a character of UTF-8 takes up to four bytes */

    render_live_line(&report->disks[index], &live->rates[index], columns, line, sizeof line);
    /* "\033[K" takes away what a longer line before left. Source: ECMA-48, 8.3.41 (EL) */
    (void)fprintf(frame, live->in_place ? "\r%s\033[K\n" : "%s\n", line);
}

void render_live_clear(struct render_live *live)
{
    if (live->out != NULL && live->unwritten_bytes > 0) {
        (void)fwrite(live->unwritten, 1, live->unwritten_bytes, live->out);
    }
    free(live->unwritten);
    live->unwritten = NULL;
    live->unwritten_bytes = 0;
    if (live->is_opened && live->terminal_fd >= 0) {
        (void)close(live->terminal_fd); /* a terminal: nothing is kept back */
        live->terminal_fd = -1;
    }
    if (live->out == NULL || live->drawn_count == 0) {
        return;
    }
    /* Up to the first line, then all below away. Source: ECMA-48, 8.3.22 (CUU) and 8.3.39 (ED) */
    (void)fprintf(live->out, "\r\033[%uA\033[J", live->drawn_count);
    (void)fflush(live->out);
    live->drawn_count = 0;
}

/* Disks at work first: when not all have room, those that are done or have not begun are left out.
 */
static bool is_at_work(const struct report_disk *disk)
{
    return disk->compared_bytes > 0 && disk->compared_bytes < disk->size_bytes;
}

static void draw_in_place(struct render_live *live, FILE *frame, const struct report *report)
{
    size_t columns = 0;
    size_t rows = 0;

    terminal_size(live->out, &columns, &rows);
    /* One column and one row stay free, so that nothing wraps or scrolls. */
    uint32_t room = rows > 2 ? (uint32_t)rows - 2 : 1;
    bool has_room = report->disk_count <= room;
    unsigned drawn = 0;

    if (live->drawn_count > 0) {
        (void)fprintf(frame, "\r\033[%uA", live->drawn_count);
    }
    for (uint32_t i = 0; i < report->disk_count && drawn < room; i++) {
        if (has_room || is_at_work(&report->disks[i])) {
            draw_disk(live, frame, report, i, columns > 1 ? columns - 1 : 1);
            drawn++;
        }
    }
    if (!has_room) {
        (void)fprintf(frame, "\r... and %u more disks\033[K\n", report->disk_count - drawn);
        drawn++;
    }
    (void)fprintf(frame, "\033[J");
    live->drawn_count = drawn;
}

static void draw(struct render_live *live, FILE *frame, const struct report *report)
{
    if (live->in_place) {
        draw_in_place(live, frame, report);
        return;
    }
    for (uint32_t i = 0; i < report->disk_count; i++) {
        draw_disk(live, frame, report, i, LIVE_COLUMNS_MAX);
    }
}

void render_live_update(struct render_live *live, const struct report *report)
{
    uint64_t now_ns = report->elapsed_ns;

    if (live->out == NULL || now_ns < live->next_ns) {
        return;
    }
    if (!live->is_opened) {
        open_terminal(live);
    }
    if ((live->unwritten_bytes > 0 && !write_waiting(live)) ||
        (live->terminal_fd < 0 && !is_writable_now(live->out))) {
        return;
    }
    live->next_ns = now_ns + (live->in_place ? DRAW_EVERY_NS : PRINT_EVERY_NS);
    for (uint32_t i = 0; i < report->disk_count; i++) {
        live_rate_update(&live->rates[i], &report->disks[i], now_ns);
    }
    char *text = NULL;
    size_t len_bytes = 0;
    FILE *frame = open_memstream(&text, &len_bytes);
    if (frame == NULL) {
        return;
    }
    draw(live, frame, report);
    if (fclose(frame) != 0) {
        free(text);
        return;
    }
    put_text(live, text, len_bytes);
}
