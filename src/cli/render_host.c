/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/render_host.h"

#include "base/env.h"
#include "cli/answer.h"
#include "cli/fields.h"
#include "cli/human.h"

void render_host(const json_t *host)
{
    char duration[HUMAN_MAX];
    const json_t *port = json_object_get(host, "replication");
    uint64_t uptime_s = answer_amount(host, "uptime_s");

    field_of("host", host, "name");
    field_of("version", host, "version");
    field_of("fingerprint", host, "fingerprint");
    if (uptime_s < UINT64_MAX / NS_PER_S) {
        field_text("up for", human_duration(uptime_s * NS_PER_S, duration));
    }
    if (answer_flag(port, "enabled")) {
        field_of("replication port", port, "listen");
        field_of("known to others as", port, "advertise");
    } else {
        field_text("replication port", "closed; 'listen' in resilver.conf(5) opens it");
    }
}
