/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "base/log.h"
#include "control/exchange.h"

/* A copy of everything that the daemon knows leaves it: that is logged, though nothing changes. */
static void note(const struct exchange *exchange)
{
    log_event(LOG_LEVEL_NOTICE, {"event", "backup taken"}, {"caller", exchange->caller.name});
}

void route_backup(struct exchange *exchange)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct error err = {0};

    if (!exchange_takes_nothing(exchange)) {
        return;
    }
    if (store_backup(service_store(exchange->control->config.service), &bytes, &count, &err) < 0) {
        exchange_refuse_kind(exchange, &err);
        return;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(count, bytes, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(bytes);
        (void)fail(&err, ERR_LIMIT, 0, "out of memory for a backup");
        exchange_refuse_kind(exchange, &err);
        return;
    }
    /* It can be saved without the header as well. */
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  "application/vnd.sqlite3");
    note(exchange);
    exchange_respond(exchange, MHD_HTTP_OK, response);
}
