/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_replica_rollback.c - make an earlier point the present one, or compute a point's proof again:
 * what reads whole disks, shows how far it is, and can be stopped.
 */
#include <inttypes.h>
#include <string.h>

#include "base/env.h"
#include "cli/cmd_replica.h"
#include "cli/human.h"
#include "cli/json_out.h"
#include "cli/meter.h"
#include "cli/render_replica.h"
#include "cli/stop.h"

static int verify_run(int argc, char **argv);
static int rollback_run(int argc, char **argv);

static const struct option_row verify_options[] = {
    {REPLICA_OPTION_POINT, "point", 0, "POINT", "which point; without it the present one"},
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

static const struct option_row rollback_options[] = {
    {REPLICA_OPTION_TO, "to", 0, "POINT", "the point that becomes the present one"},
    REPLICA_ROW_YES,
    REPLICA_ROW_JSON,
    REPLICA_ROW_HELP,
};

const struct command cmd_replica_verify = {
    .name = "replica verify",
    .run = verify_run,
    .summary = "read a point from the medium and compute its proof again",
    .synopsis = (const char *const[]){"[--point=POINT] [--json] PATH", NULL},
    .options = verify_options,
    .option_count = ARRAY_COUNT(verify_options),
    .notes = "POINT is a number that 'resilver replica points' shows, or 'present'.\n"
             "Exit status: 0 it is what was sealed, 1 it is not, or could not be read.\n",
};

const struct command cmd_replica_rollback = {
    .name = "replica rollback",
    .run = rollback_run,
    .summary = "make an earlier point the present one",
    .synopsis = (const char *const[]){"--to=POINT [--yes] [--json] PATH", NULL},
    .options = rollback_options,
    .option_count = ARRAY_COUNT(rollback_options),
    .notes =
        "POINT is a number that 'resilver replica points' shows. The point that was present is\n"
        "kept as an earlier one; what is half staged is dropped.\n",
};

/* A long step at work. */
struct step {
    struct meter meter;
    uint64_t start_ns;
};

static int step_begin(struct step *step, const struct replica_args *args, struct error *err)
{
    int stop_fd = -1; /* the signal's name is asked for instead */

    meter_init(&step->meter, args->path, !args->json);
    step->start_ns = env_now_ns(env_system());
    return stop_open(&stop_fd, err);
}

/* replica_progress */
static int step_progress(void *context, uint64_t done_bytes, uint64_t all_bytes, struct error *err)
{
    struct step *step = context;

    if (stop_signal_name() != NULL) {
        return fail(err, ERR_CANCELLED, 0, "stopped by %s; the replica is as it was",
                    stop_signal_name());
    }
    meter_show(&step->meter, done_bytes, all_bytes);
    return 0;
}

static uint64_t step_end(struct step *step)
{
    meter_clear(&step->meter);
    return env_now_ns(env_system()) - step->start_ns;
}

/* --- verify ---------------------------------------------------------------------------------- */

static bool fill_verified(json_t *object, const struct replica_args *args,
                          const struct point_record *record, uint64_t size_bytes,
                          uint64_t elapsed_ns)
{
    return object != NULL && json_out_put(object, "path", json_out_text(args->path)) &&
           json_out_put(object, "point", json_out_amount(record->number)) &&
           json_out_put(object, "time", json_out_time(record->time_ns)) &&
           json_out_put(object, "disks", json_integer(record->disk_count)) &&
           json_out_put(object, "size_bytes", json_out_amount(size_bytes)) &&
           json_out_put(object, "elapsed_seconds", json_out_seconds(elapsed_ns));
}

static void show_verified(const struct replica_args *args, const struct point_record *record,
                          uint64_t elapsed_ns)
{
    char path[PATH_TEXT_MAX];
    char size[HUMAN_MAX];
    char time[HUMAN_MAX];
    char duration[HUMAN_MAX];
    char rate[HUMAN_MAX];
    uint64_t size_bytes = 0;

    for (uint32_t i = 0; i < record->disk_count; i++) {
        size_bytes += record->disks[i].size_bytes;
    }
    if (args->json) {
        json_t *object = json_object();
        if (!fill_verified(object, args, record, size_bytes, elapsed_ns)) {
            json_decref(object);
            object = NULL;
        }
        render_replica_json_print(stdout, "done", "verified", object);
        return;
    }
    (void)human_name(args->path, 0, path, sizeof path);
    (void)printf("%s: point %" PRIu64 " of %s is what was sealed: %s in %u %s, %s, %s\n", path,
                 record->number, human_time(record->time_ns, time), human_size(size_bytes, size),
                 record->disk_count, record->disk_count == 1 ? "disk" : "disks",
                 human_duration(elapsed_ns, duration), human_rate(size_bytes, elapsed_ns, rate));
}

static int verify_do(const struct replica_args *args, struct error *err)
{
    CLEANUP(cmd_replica_unlockp) struct replica *replica = NULL;
    struct replica_info info;
    struct replica_point point;
    struct point_record record;
    struct step step;

    if (cmd_replica_lock(args->path, &replica, &info, err) < 0 ||
        cmd_replica_pick(&info, args->point == NULL ? "present" : args->point, &point, err) < 0 ||
        replica_get_point(replica, point.number, &record, err) < 0 ||
        step_begin(&step, args, err) < 0) {
        return -1;
    }
    int result = replica_verify(replica, point.number, step_progress, &step, err);
    uint64_t elapsed_ns = step_end(&step);
    if (result < 0) {
        return -1;
    }
    show_verified(args, &record, elapsed_ns);
    return COMMAND_DONE;
}

static int verify_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_verify, argc, argv, 1, 1, verify_do);
}

/* --- rollback -------------------------------------------------------------------------------- */

static int confirm_rollback(const struct replica_args *args, const struct replica_info *info,
                            const struct replica_point *to, struct error *err)
{
    char what[400];
    char time[HUMAN_MAX];
    char lost[80] = "";

    if (to->needs != 0) {
        return fail(err, ERR_WRONG_STATE, 0,
                    "point %" PRIu64 " cannot be seen without point %" PRIu64
                    ", which is damaged or missing (resilver replica points %s)",
                    to->number, to->needs, args->path);
    }
    if (info->history == 0) {
        (void)snprintf(lost, sizeof lost, ", and is lost, as no earlier points are kept");
    } else if (info->point_count >= info->history) {
        (void)snprintf(lost, sizeof lost, "; point %" PRIu64 ", the oldest, is dropped for it",
                       info->points[0].number);
    }
    (void)snprintf(what, sizeof what,
                   "point %" PRIu64 " of %s takes the place of the present point %" PRIu64 "%s%s",
                   to->number, human_time(to->time_ns, time), info->present.number, lost,
                   info->has_stage ? "; what is half staged is dropped" : "");
    return cmd_replica_confirm(args, what, err);
}

/* Whatever failed after the seal is finished by the next one who opens the replica. */
static int fail_unfinished(const struct replica_args *args, struct replica *replica,
                           struct error *err)
{
    struct replica_info info;
    const struct error why = *err;

    if (replica_get_info(replica, &info, NULL) == 0 && info.state == REPLICA_UNFINISHED) {
        (void)fail(err, why.kind, 0,
                   "%.400s; the rollback is sealed: 'resilver recover %.150s' finishes it when the "
                   "cause is gone",
                   why.message, args->path);
        error_set_disk(err, why.disk);
    }
    return -1;
}

static bool is_kept(const struct replica_info *info, uint64_t number)
{
    for (uint32_t i = 0; i < info->point_count; i++) {
        if (info->points[i].number == number) {
            return true;
        }
    }
    return false;
}

static int show_rolled_back(const struct replica_args *args, struct replica *replica, uint64_t to,
                            uint64_t was, struct error *err)
{
    struct replica_info info;
    char path[PATH_TEXT_MAX];

    if (replica_get_info(replica, &info, err) < 0) {
        return -1;
    }
    if (args->json) {
        render_replica_json_print(stdout, "done", "replica", render_replica_json(&info));
        return COMMAND_DONE;
    }
    (void)human_name(args->path, 0, path, sizeof path);
    (void)printf("%s: point %" PRIu64 " is present again, as point %" PRIu64, path, to,
                 info.present.number);
    if (is_kept(&info, was)) {
        (void)printf("; what was present is kept as point %" PRIu64, was);
    }
    (void)putchar('\n');
    return COMMAND_DONE;
}

static int rollback_do(const struct replica_args *args, struct error *err)
{
    CLEANUP(cmd_replica_unlockp) struct replica *replica = NULL;
    struct replica_info info;
    struct replica_point to;
    struct step step;

    if (args->point == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "which point is not said: --to=POINT (resilver replica points)");
    }
    if (cmd_replica_lock(args->path, &replica, &info, err) < 0 ||
        cmd_replica_pick(&info, args->point, &to, err) < 0) {
        return -1;
    }
    if (to.number == info.present.number) {
        return fail(err, ERR_USAGE, 0, "point %" PRIu64 " is the present one already", to.number);
    }
    if (confirm_rollback(args, &info, &to, err) < 0 || step_begin(&step, args, err) < 0) {
        return -1;
    }
    int result = replica_rollback(replica, to.number, step_progress, &step, err);
    (void)step_end(&step);
    return result < 0 ? fail_unfinished(args, replica, err)
                      : show_rolled_back(args, replica, to.number, info.present.number, err);
}

static int rollback_run(int argc, char **argv)
{
    return replica_args_run(&cmd_replica_rollback, argc, argv, 1, 1, rollback_do);
}
