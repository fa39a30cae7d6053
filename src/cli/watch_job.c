/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch_job.c - the job is asked for again and again: what is shown is then whole, whenever the
 * watching began, and a daemon that is started anew meanwhile is no end.
 */
#include "cli/watch_job.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "cli/answer.h"
#include "cli/human.h"
#include "cli/render_live.h"
#include "cli/render_text.h"
#include "cli/stop.h"

#define LOOK_EVERY_MS 250
#define GONE_MAX_S 60U /* the daemon may be away so long: a restart, an upgrade */

/* docs/control.md: the numbers of Msvm_ConcreteJob.JobState */
enum {
    STATE_NEW = 2,
    STATE_SUSPENDED = 5,
    STATE_COMPLETED = 7,
    STATE_TERMINATED = 8,
    STATE_FAILED = 10,
    STATE_WARNED = 32768
};

struct watch {
    struct api *api;
    const char *id;
    int stop_fd; /* borrowed from stop.h */
    struct render_live live;
    struct report report;
    bool is_begun;                /* progress was shown */
    char said[ERROR_MESSAGE_MAX]; /* the last line about a job that waits */
    uint64_t seen_ns;             /* when the daemon last answered */
};

bool watch_job_is_end(const json_t *job)
{
    int64_t state = answer_number(job, "state");

    return (state >= STATE_COMPLETED && state <= STATE_FAILED) || state == STATE_WARNED;
}

/* --- reports --------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

static bool read_proof(const char *text, uint8_t out[REPORT_PROOF_BYTES])
{
    if (strlen(text) != 2 * (size_t)REPORT_PROOF_BYTES) {
        return false;
    }
    for (size_t i = 0; i < REPORT_PROOF_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* Where a number is larger than can be, the arithmetic of the renderers would not hold. */
static uint64_t amount_up_to(const json_t *object, const char *key, uint64_t max)
{
    uint64_t amount = answer_amount(object, key);

    return amount < max ? amount : max;
}

static void read_disk(const json_t *object, struct report_disk *out)
{
    uint64_t size = amount_up_to(object, "size_bytes", DISK_SIZE_MAX);
    uint64_t compared = amount_up_to(object, "compared_bytes", size);

    *out = (struct report_disk){
        .source = answer_text(object, "name"),
        .target = answer_text(object, "name"),
        .size_bytes = size,
        .compared_bytes = compared,
        .skipped_zero_bytes = amount_up_to(object, "skipped_zero_bytes", size),
        .resumed_bytes = amount_up_to(object, "resumed_bytes", compared),
        .different_bytes = answer_amount(object, "different_bytes"),
        .shipped_bytes = answer_amount(object, "shipped_bytes"),
        .written_bytes = answer_amount(object, "written_bytes"),
        .verified_bytes = answer_amount(object, "verified_bytes"),
    };
    out->has_proof = read_proof(answer_text(object, "proof"), out->proof);
}

/* The names stay borrowed from object. */
static void read_report(const json_t *object, struct report *out)
{
    const json_t *disks = json_object_get(object, "disks");
    size_t count = json_array_size(disks);

    out->disk_count = (uint32_t)(count < DISKS_MAX ? count : DISKS_MAX);
    for (uint32_t i = 0; i < out->disk_count; i++) {
        read_disk(json_array_get(disks, i), &out->disks[i]);
    }
    out->sent_bytes = answer_amount(object, "sent_bytes");
    out->received_bytes = answer_amount(object, "received_bytes");
}

static uint64_t elapsed_ns_of(const json_t *object)
{
    double seconds = json_number_value(json_object_get(object, "elapsed_s"));

    return seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * (double)NS_PER_S) : 0;
}

void watch_job_print_report(const json_t *job)
{
    const json_t *object = json_object_get(job, "report");
    struct report report = {0};
    char name[PATH_TEXT_MAX];
    char sent[HUMAN_MAX];
    char received[HUMAN_MAX];

    read_report(object, &report);
    for (uint32_t i = 0; i < report.disk_count; i++) {
        (void)human_name(report.disks[i].target, 0, name, sizeof name);
        (void)printf("%s: ", name);
        render_text_amounts(stdout, &report.disks[i], false);
        (void)printf("\n");
        render_text_details(stdout, &report.disks[i]);
    }
    if (report.disk_count > 0) {
        (void)printf("source sent %s, received %s\n", human_size(report.sent_bytes, sent),
                     human_size(report.received_bytes, received));
    }
}

/* --- while it goes on ------------------------------------------------------------------------ */

static void open_live(struct watch *watch)
{
    const char *term = getenv("TERM");
    bool is_terminal =
        isatty(STDERR_FILENO) == 1 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
    int fd = is_terminal && !watch->api->args->json ? dup(STDERR_FILENO) : -1;

    watch->live.in_place = true;
    watch->live.out = fd < 0 ? NULL : fdopen(fd, "w");
    if (watch->live.out == NULL && fd >= 0) {
        (void)close(fd); /* no memory for a stream: no progress is shown */
    }
}

static void close_live(struct watch *watch)
{
    render_live_clear(&watch->live);
    if (watch->live.out != NULL) {
        (void)fclose(watch->live.out); /* what a terminal did not take is of no use any more */
        watch->live.out = NULL;
    }
}

/* Says once why nothing moves. */
static void say(struct watch *watch, const char *line)
{
    if (watch->live.out == NULL || strcmp(watch->said, line) == 0) {
        return;
    }
    (void)snprintf(watch->said, sizeof watch->said, "%s", line);
    render_live_clear(&watch->live);
    (void)fprintf(watch->live.out, "%s\n", line);
    (void)fflush(watch->live.out);
}

static void say_waiting(struct watch *watch, const json_t *job)
{
    char text[ERROR_MESSAGE_MAX];
    char shown[ERROR_MESSAGE_MAX];
    char time[INSTANT_TEXT_MAX];
    int64_t state = answer_number(job, "state");
    const char *what = answer_text(job, "type_name");
    const char *vm = answer_text_of(job, "vm", "name");

    if (answer_us(job, "next_try") != 0) {
        (void)snprintf(text, sizeof text, "%.200s of %.200s: tries again at %s: %.200s", what, vm,
                       answer_time(job, "next_try", time), answer_text_of(job, "error", "message"));
    } else if (state == STATE_SUSPENDED) {
        (void)snprintf(text, sizeof text,
                       "%.200s of %.200s is suspended; 'resilver job resume %.8s' lets it go on",
                       what, vm, watch->id);
    } else if (state == STATE_NEW && answer_us(job, "scheduled_start") != 0) {
        (void)snprintf(text, sizeof text, "%.200s of %.200s starts at %s, or when it has its turn",
                       what, vm, answer_time(job, "scheduled_start", time));
    } else {
        (void)snprintf(text, sizeof text, "%.200s of %.200s: %.200s", what, vm,
                       answer_text(job, "state_name"));
    }
    (void)human_name(text, 0, shown, sizeof shown);
    say(watch, shown);
}

/* What was done before the watching began would look like a burst. */
static void begin_rates(struct watch *watch)
{
    watch->is_begun = true;
    for (uint32_t i = 0; i < watch->report.disk_count; i++) {
        const struct report_disk *disk = &watch->report.disks[i];
        watch->live.rates[i] = (struct live_rate){
            .sample_ns = watch->report.elapsed_ns,
            .done_bytes = disk->compared_bytes - disk->resumed_bytes,
        };
    }
}

static void show(struct watch *watch, const json_t *job)
{
    const json_t *progress = json_object_get(job, "progress");

    if (json_array_size(json_object_get(progress, "disks")) == 0) {
        say_waiting(watch, job);
        return;
    }
    read_report(progress, &watch->report);
    watch->report.elapsed_ns = env_now_ns(env_system());
    if (!watch->is_begun) {
        begin_rates(watch);
    }
    render_live_update(&watch->live, &watch->report);
    watch->report.disk_count = 0; /* the names go with the job */
}

/* A daemon that does not answer may be one that is being started anew. */
static bool is_away(const struct watch *watch, const struct error *err)
{
    return err->kind == ERR_PEER && watch->api->refusal.http_status == 0 && watch->seen_ns != 0 &&
           env_now_ns(env_system()) - watch->seen_ns < GONE_MAX_S * NS_PER_S;
}

static int fail_stopped(const struct watch *watch, struct error *err)
{
    return fail(err, ERR_CANCELLED, 0,
                "the watching was stopped; the job goes on: 'resilver job watch %.8s' shows it "
                "again, 'resilver job cancel %.8s' cancels it",
                watch->id, watch->id);
}

/* Returns 1 when the job has ended: *out is it; 0: to be asked again. */
static int look(struct watch *watch, const char *path, json_t **out, struct error *err)
{
    struct error why = {0};
    json_auto_t *job = NULL;

    if (api_call(watch->api, "GET", path, &job, &why) < 0) {
        if (!is_away(watch, &why)) {
            *err = why;
            return -1;
        }
        say(watch, "resilverd does not answer; waiting for it");
        return 0;
    }
    watch->seen_ns = env_now_ns(env_system());
    if (watch_job_is_end(job)) {
        *out = TAKE(job);
        return 1;
    }
    show(watch, job);
    return 0;
}

static int wait_for_end(struct watch *watch, json_t **out, struct error *err)
{
    char path[API_PATH_MAX];

    if (client_path(path, sizeof path, err, "/v1/jobs/%s", watch->id) < 0) {
        return -1;
    }
    for (;;) {
        int result = look(watch, path, out, err);
        if (result != 0) {
            return result < 0 ? -1 : 0;
        }
        if (stop_wait(watch->stop_fd, LOOK_EVERY_MS)) {
            return fail_stopped(watch, err);
        }
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static int tell_end(struct api *api, const json_t *job, struct error *err)
{
    char text[PATH_TEXT_MAX];
    char shown[PATH_TEXT_MAX];
    char duration[HUMAN_MAX];
    int64_t state = answer_number(job, "state");
    bool is_good = state == STATE_COMPLETED || state == STATE_WARNED;
    const char *reason = answer_text_of(job, "error", "message");

    if (api->args->json) {
        api_print(job);
        return is_good ? COMMAND_DONE : COMMAND_FAILED;
    }
    (void)snprintf(text, sizeof text, "%s of %s: %s", answer_text(job, "type_name"),
                   answer_text_of(job, "vm", "name"), answer_text(job, "state_name"));
    if (!is_good) {
        return fail(err, state == STATE_TERMINATED ? ERR_CANCELLED : ERR_WRONG_STATE, 0,
                    "%.250s%s%s", text, reason[0] == '\0' ? "" : ": ", reason);
    }
    (void)human_name(text, 0, shown, sizeof shown);
    (void)printf("%s after %s\n", shown, human_duration(elapsed_ns_of(job), duration));
    watch_job_print_report(job);
    return COMMAND_DONE;
}

int watch_job(struct api *api, const char *id, struct error *err)
{
    struct watch watch = {.api = api, .id = id, .stop_fd = -1};
    json_auto_t *job = NULL;

    if (stop_open(&watch.stop_fd, err) < 0) {
        return -1;
    }
    open_live(&watch);
    int result = wait_for_end(&watch, &job, err);
    close_live(&watch);
    return result < 0 ? -1 : tell_end(api, job, err);
}
