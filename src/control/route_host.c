/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control/exchange.h"

struct host_counts {
    uint32_t relationships;
    uint32_t open_jobs;
    uint32_t running_jobs;
};

static struct host_counts count(const struct service *service)
{
    struct host_counts counts = {0};

    for (uint32_t i = 0; i < service_vm_count(service); i++) {
        struct service_vm vm;
        service_vm_at(service, i, &vm);
        counts.relationships += vm.relationships[0] != NULL ? 1 : 0;
        counts.relationships += vm.relationships[1] != NULL ? 1 : 0;
    }
    for (uint32_t i = 0; i < service_job_count(service); i++) {
        const struct job_row *job = service_job_at(service, i);
        counts.open_jobs += job_state_is_end(job->state) ? 0 : 1;
        counts.running_jobs += service_job_is_at_work(service, &job->id) ? 1 : 0;
    }
    return counts;
}

static bool put_replication(json_t *object, const struct control_config *config)
{
    json_t *replication = json_object();

    return show_put(object, "replication", replication) &&
           show_put(replication, "enabled", json_boolean(config->listen_address[0] != '\0')) &&
           show_put(replication, "listen", show_text(config->listen_address)) &&
           show_put(replication, "advertise", show_text(config->advertise_address));
}

static bool put_monitoring(json_t *object, const struct control_config *config)
{
    json_t *monitoring = json_object();

    return show_put(object, "monitoring", monitoring) &&
           show_put(monitoring, "interval_s", show_number(config->monitoring_interval_s)) &&
           show_put(monitoring, "start_minute", show_number(config->monitoring_start_minute));
}

static bool put_counts(json_t *object, const struct service *service)
{
    struct host_counts counts = count(service);

    return show_put(object, "vms", show_number(service_vm_count(service))) &&
           show_put(object, "relationships", show_number(counts.relationships)) &&
           show_put(object, "open_jobs", show_number(counts.open_jobs)) &&
           show_put(object, "running_jobs", show_number(counts.running_jobs));
}

void route_show_host(struct exchange *exchange)
{
    const struct control_config *config = &exchange->control->config;
    uint64_t up_ns = env_now_ns(config->env) - exchange->control->started_ns;
    char fingerprint[FINGERPRINT_TEXT_MAX];

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    fingerprint_format(config->identity->fingerprint, fingerprint);
    json_t *object = json_object();
    if (!show_put(object, "name", show_text(service_host_name(config->service))) ||
        !show_put(object, "version", show_text(RESILVER_VERSION)) ||
        !show_put(object, "fingerprint", show_text(fingerprint)) ||
        !show_put(object, "certificate", show_text(config->identity->certificate)) ||
        !show_put(object, "uptime_s", show_number(up_ns / NS_PER_S)) ||
        !put_counts(object, config->service) || !put_replication(object, config) ||
        !put_monitoring(object, config)) {
        json_decref(object);
        object = NULL;
    }
    exchange_answer(exchange, object);
}
