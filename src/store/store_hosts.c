/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/query.h"

int store_put_host(struct store *store, const struct host_row *row, struct error *err)
{
    struct query query;

    query_begin(&query, store, "hosts",
                "INSERT INTO hosts (name, address, fingerprint, paired_us, revoked_us) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "address = excluded.address, fingerprint = excluded.fingerprint, "
                "paired_us = excluded.paired_us, revoked_us = excluded.revoked_us");
    query_put_text(&query, row->name);
    query_put_text(&query, row->address);
    query_put_bytes(&query, (struct const_span){row->fingerprint, FINGERPRINT_BYTES});
    query_put_int(&query, row->paired_us);
    query_put_int(&query, row->revoked_us);
    return query_run(&query, err);
}

int store_remove_host(struct store *store, const char *name, struct error *err)
{
    struct query query;

    query_begin(&query, store, "hosts", "DELETE FROM hosts WHERE name = ?");
    query_put_text(&query, name);
    return query_run(&query, err);
}

static void read_host(struct query *query, struct host_row *row)
{
    query_get_text(query, row->name, sizeof row->name);
    query_get_text(query, row->address, sizeof row->address);
    query_get_bytes(query, (struct span){row->fingerprint, FINGERPRINT_BYTES});
    row->paired_us = query_get_time(query);
    row->revoked_us = query_get_time(query);
}

int store_load_hosts(struct store *store,
                     int (*visit)(void *context, const struct host_row *row, struct error *err),
                     void *context, struct error *err)
{
    struct query query;
    int result = 0;

    query_begin(
        &query, store, "hosts",
        "SELECT name, address, fingerprint, paired_us, revoked_us FROM hosts ORDER BY name");
    while ((result = query_next(&query, err)) > 0) {
        struct host_row row = {0};
        read_host(&query, &row);
        result = query_row(&query, err);
        result = result == 0 ? visit(context, &row, err) : result;
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}
