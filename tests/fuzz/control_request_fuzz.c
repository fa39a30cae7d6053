/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bodies and names of the control API's requests: whatever comes, it is read or refused with words,
 * and never half of both. The first byte chooses what is read. */
#include <stdlib.h>
#include <string.h>

#include "control/request.h"

static void check(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void read_name(struct const_span bytes)
{
    char name[64];
    struct error err = {0};

    if (request_decode(bytes, name, sizeof name, &err) < 0) {
        check(err.kind == ERR_USAGE && err.message[0] != '\0');
        return;
    }
    check(strlen(name) <= bytes.len_bytes);
    json_t *string = json_string(name);
    check(string != NULL);
    json_decref(string);
}

static void read_settings(struct const_span bytes)
{
    struct relationship_settings settings = {.interval_s = 300};
    const struct relationship_settings before = settings;
    enum return_value value = RETURN_DONE;
    json_t *root = NULL;
    struct error err = {0};

    if (request_parse(bytes, &root, &err) < 0) {
        check(err.message[0] != '\0');
        return;
    }
    if (request_settings(root, &settings, &value, &err) < 0) {
        check(value != RETURN_DONE && err.message[0] != '\0');
        check(memcmp(&settings, &before, sizeof settings) == 0);
    } else {
        check(settings.auto_start_minute < 1440 && settings.auto_end_minute < 1440);
    }
    json_decref(root);
}

static void read_query(struct const_span bytes)
{
    json_t *root = NULL;
    struct error err = {0};
    uint64_t number = 7;
    bool flag = false;

    if (request_parse(bytes, &root, &err) < 0) {
        return;
    }
    struct members members = members_of(root);
    (void)members_text(&members, "text");
    (void)members_query_flag(&members, "all", &flag);
    if (members_query_number(&members, "limit", 1000, &number)) {
        check(number <= 1000);
    }
    check((members_end(&members, &err) == 0) == (members.value == RETURN_DONE));
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct const_span rest = {data + 1, size - 1};
    switch (data[0] % 3) {
    case 0:
        read_name(rest);
        break;
    case 1:
        read_settings(rest);
        break;
    default:
        read_query(rest);
    }
    return 0;
}
