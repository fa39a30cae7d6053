/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/query.h"

int store_put_authorization(struct store *store, const struct authorization_row *row,
                            struct error *err)
{
    struct query query;

    query_begin(&query, store, "authorizations",
                "INSERT INTO authorizations "
                "(allowed_primary, fingerprint, trust_group, storage_root, created_us) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (allowed_primary) DO UPDATE SET "
                "fingerprint = excluded.fingerprint, trust_group = excluded.trust_group, "
                "storage_root = excluded.storage_root, created_us = excluded.created_us");
    query_put_text(&query, row->allowed_primary);
    query_put_bytes(&query, (struct const_span){row->fingerprint, FINGERPRINT_BYTES});
    query_put_text(&query, row->trust_group);
    query_put_text(&query, row->storage_root);
    query_put_int(&query, row->created_us);
    return query_run(&query, err);
}

int store_remove_authorization(struct store *store, const char *allowed_primary, struct error *err)
{
    struct query query;

    query_begin(&query, store, "authorizations",
                "DELETE FROM authorizations WHERE allowed_primary = ?");
    query_put_text(&query, allowed_primary);
    return query_run(&query, err);
}

int store_load_authorizations(struct store *store,
                              int (*visit)(void *context, const struct authorization_row *row,
                                           struct error *err),
                              void *context, struct error *err)
{
    struct query query;
    int result = 0;

    query_begin(&query, store, "authorizations",
                "SELECT allowed_primary, fingerprint, trust_group, storage_root, created_us "
                "FROM authorizations ORDER BY allowed_primary");
    while ((result = query_next(&query, err)) > 0) {
        struct authorization_row row = {0};
        query_get_text(&query, row.allowed_primary, sizeof row.allowed_primary);
        query_get_bytes(&query, (struct span){row.fingerprint, FINGERPRINT_BYTES});
        query_get_text(&query, row.trust_group, sizeof row.trust_group);
        query_get_text(&query, row.storage_root, sizeof row.storage_root);
        row.created_us = query_get_time(&query);
        result = query_row(&query, err);
        result = result == 0 ? visit(context, &row, err) : result;
        if (result != 0) {
            break;
        }
    }
    query_end(&query);
    return result;
}
