/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service_statistics.c - counting, per relationship and monitoring interval.
 */
#include "base/log.h"
#include "replica/service_internal.h"

static void begin_interval(const struct service *service, struct service_relationship *at,
                           int64_t now_us)
{
    const struct service_config *config = &service->config;

    at->statistics = (struct statistics_row){
        .vm = at->row.vm,
        .hop = at->row.hop,
        .start_us = policy_interval_start(now_us, config->monitoring_interval_s,
                                          config->monitoring_start_minute)};
    at->statistics.end_us =
        at->statistics.start_us + (int64_t)config->monitoring_interval_s * US_PER_S;
    at->has_unsaved_statistics = false;
}

static void save(struct service *service, struct service_relationship *at)
{
    struct error err = {0};

    at->has_unsaved_statistics =
        store_put_statistics(service->config.store, &at->statistics, &err) < 0;
    if (at->has_unsaved_statistics) {
        log_event(LOG_LEVEL_ERROR, {"event", "statistics not saved"}, {"error", err.message});
    }
}

/* A clock that was set back leaves the interval as it is; one that went forward ends it. */
static void turn(struct service *service, struct service_relationship *at, int64_t now_us)
{
    if (at->statistics.start_us != 0 && now_us < at->statistics.end_us) {
        return;
    }
    if (at->statistics.start_us != 0 && at->statistics.success_count +
                                                at->statistics.failure_count +
                                                at->statistics.network_failure_count >
                                            0) {
        service_note(service,
                     &(struct service_note){.code = 29174,
                                            .level = LOG_LEVEL_INFO,
                                            .what = "interval ended",
                                            .vm = &at->row.vm,
                                            .hop = at->row.hop},
                     "%u succeeded, %u failed, %u for the network", at->statistics.success_count,
                     at->statistics.failure_count, at->statistics.network_failure_count);
    }
    begin_interval(service, at, now_us);
}

void service_turn_intervals(struct service *service)
{
    int64_t now_us = service_now(service);

    for (uint32_t i = 0; i < service->relationship_count; i++) {
        struct service_relationship *at = service->relationships[i];
        if (at->has_unsaved_statistics) {
            save(service, at);
        }
        turn(service, at, now_us);
    }
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void service_count_end(struct service *service, struct service_relationship *at,
                       const struct session_end *end, bool is_resync)
{
    struct statistics_row *statistics = &at->statistics;
    uint64_t shipped = 0;

    turn(service, at, service_now(service));
    for (uint32_t i = 0; i < end->progress.disk_count; i++) {
        shipped += end->progress.disks[i].shipped_bytes;
    }
    if (end->is_done) {
        uint64_t latency_s = end->elapsed_ns / NS_PER_S;
        statistics->success_count++;
        statistics->size_bytes += shipped;
        statistics->max_size_bytes = larger(statistics->max_size_bytes, shipped);
        statistics->latency_s += latency_s;
        statistics->max_latency_s = larger(statistics->max_latency_s, latency_s);
        statistics->resynced_bytes += is_resync ? shipped : 0;
    } else if (end->error.kind == ERR_PEER) {
        statistics->network_failure_count++;
    } else if (end->error.kind != ERR_CANCELLED) {
        statistics->failure_count++;
    }
    save(service, at);
}

struct newest {
    struct service *service;
    struct service_relationship *at;
};

static int take_newest(void *context, const struct statistics_row *row, struct error *err)
{
    struct newest *newest = context;

    (void)err;
    if (service_now(newest->service) < row->end_us) {
        newest->at->statistics = *row;
    }
    return 0;
}

int service_load_statistics(struct service *service, struct error *err)
{
    int64_t now_us = service_now(service);

    for (uint32_t i = 0; i < service->relationship_count; i++) {
        struct newest newest = {service, service->relationships[i]};
        if (store_load_statistics(service->config.store, &newest.at->row.vm, newest.at->row.hop, 1,
                                  take_newest, &newest, err) < 0) {
            return -1;
        }
        turn(service, newest.at, now_us);
    }
    return 0;
}

const struct statistics_row *service_statistics(const struct service *service,
                                                const struct uuid *vm, uint8_t hop)
{
    const struct service_relationship *at = service_find_relationship(service, vm, hop);

    return at == NULL ? NULL : &at->statistics;
}

void service_reset_statistics(struct service *service, const struct service_asker *asker,
                              const char *vm, int hop)
{
    struct service_relationship *at = NULL;
    enum return_value value = RETURN_DONE;
    struct error err = {0};

    if (authorize(asker->caller, OPERATION_RESYNC, &err) < 0) {
        service_reply_error(asker, RETURN_ACCESS_DENIED, &err);
        return;
    }
    if (service_resolve(service, vm, hop, &at, &value, &err) < 0) {
        service_reply_error(asker, value, &err);
        return;
    }
    if (store_remove_statistics(service->config.store, &at->row.vm, at->row.hop, &err) < 0) {
        service_reply_error(asker, RETURN_FAILED, &err);
        return;
    }
    begin_interval(service, at, service_now(service));
    service_refresh_health(service, at);
    service_reply_done(asker, NULL);
}
