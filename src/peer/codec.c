/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer/codec.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MAX_S 86400
#define MINUTES_PER_DAY 1440

static const char *const call_names[] = {
    [PEER_HELLO] = "hello",     [PEER_OFFER] = "offer",   [PEER_MODIFY] = "modify",
    [PEER_PREPARE] = "prepare", [PEER_REMOVE] = "remove",
};
static_assert(ARRAY_COUNT(call_names) == PEER_CALL_MAX + 1, "a name for each call");

static void json_free(json_t **value)
{
    json_decref(*value);
}

bool codec_is_name(const char *text, size_t size_bytes)
{
    size_t len_bytes = strlen(text);

    for (size_t i = 0; i < len_bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return len_bytes > 0 && len_bytes < size_bytes;
}

/* A disk's name becomes a file's name at the target. */
static bool is_disk_name(const char *text)
{
    return codec_is_name(text, DISK_NAME_MAX) && strchr(text, '/') == NULL &&
           strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

/* --- out ------------------------------------------------------------------------------------- */

/* Takes value. */
static int finish_text(json_t *value, struct span *out, struct error *err)
{
    CLEANUP(json_free) json_t *owned = value;

    if (owned == NULL) {
        return fail(err, ERR_USAGE, 0,
                    "a message to a peer cannot be made: a text in it is not "
                    "UTF-8, or memory is short");
    }
    char *text = json_dumps(owned, JSON_COMPACT);
    if (text == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "cannot write a message to a peer");
    }
    size_t len_bytes = strlen(text);
    if (len_bytes > PEER_MESSAGE_MAX) {
        free(text);
        return fail(err, ERR_LIMIT, 0,
                    "a message to a peer would have %zu bytes, and at most %llu "
                    "are allowed: give the disks shorter names",
                    len_bytes, PEER_MESSAGE_MAX);
    }
    *out = (struct span){(uint8_t *)text, len_bytes};
    return 0;
}

static json_t *settings_out(const struct relationship_settings *s)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "recovery_history", (json_int_t)s->recovery_history,
        "interval_s", (json_int_t)s->interval_s, "rate_bytes_per_s",
        (json_int_t)s->rate_bytes_per_s, "auto_start_minute", (json_int_t)s->auto_start_minute,
        "auto_end_minute", (json_int_t)s->auto_end_minute, "is_auto_resync_enabled",
        (int)s->is_auto_resync_enabled, "is_compression_enabled", (int)s->is_compression_enabled);
}

/* NULL: a name that is not UTF-8, or no memory. */
static json_t *disks_out(const struct relationship_row *row)
{
    json_t *disks = json_array();

    for (uint32_t i = 0; disks != NULL && i < row->disk_count; i++) {
        const struct relationship_disk *disk = &row->disks[i];
        json_t *made =
            json_pack("{s:s, s:I, s:b}", "name", disk->name, "size_bytes",
                      (json_int_t)disk->size_bytes, "is_included", (int)disk->is_included);
        if (json_array_append_new(disks, made) < 0) { /* refuses NULL, too */
            json_decref(disks);
            return NULL;
        }
    }
    return disks;
}

static int check_out(const struct relationship_row *row, struct error *err)
{
    if (row->generation > INT64_MAX || row->settings.rate_bytes_per_s > INT64_MAX ||
        row->disk_count > DISKS_MAX) {
        return fail(err, ERR_USAGE, 0, "'%s': a number in its relationship is too large to be told",
                    row->vm_name);
    }
    for (uint32_t i = 0; i < row->disk_count; i++) {
        if (row->disks[i].size_bytes > DISK_SIZE_MAX) {
            return fail(err, ERR_USAGE, 0, "'%s': the disk %s is too large", row->vm_name,
                        row->disks[i].name);
        }
    }
    return 0;
}

int codec_encode_question(const struct peer_question *question, struct span *out, struct error *err)
{
    const struct relationship_row *row = &question->relationship;
    char vm[UUID_TEXT_MAX];

    assert(question->call > PEER_CALL_INVALID && question->call <= PEER_CALL_MAX);
    const char *call = call_names[question->call];
    if (question->call == PEER_HELLO) {
        return finish_text(json_pack("{s:i, s:s}", "resilver", CODEC_VERSION, "call", call), out,
                           err);
    }
    if (check_out(row, err) < 0) {
        return -1;
    }
    uuid_format(&row->vm, vm);
    json_t *made = json_pack("{s:i, s:s, s:b, s:{s:s, s:s, s:i, s:I, s:o, s:o}}", "resilver",
                             CODEC_VERSION, "call", call, "is_initial", (int)question->is_initial,
                             "relationship", "vm", vm, "vm_name", row->vm_name, "hop",
                             (int)row->hop, "generation", (json_int_t)row->generation, "settings",
                             settings_out(&row->settings), "disks", disks_out(row));
    return finish_text(made, out, err);
}

int codec_encode_answer(const struct peer_answer *answer, struct span *out, struct error *err)
{
    return finish_text(json_pack("{s:i, s:i, s:s, s:s, s:s}", "resilver", CODEC_VERSION, "value",
                                 (int)answer->value, "message", answer->message, "host_name",
                                 answer->host_name, "version", answer->version),
                       out, err);
}

/* --- in -------------------------------------------------------------------------------------- */

/* A sticky cursor over members: the first that is missing or wrong is kept, later reads give 0. */
struct members {
    const json_t *object; /* borrowed */
    const char *bad;      /* NULL: all were good */
};

static const json_t *member(struct members *m, const char *name)
{
    const json_t *value = json_object_get(m->object, name); /* NULL for what is no object */

    if (value == NULL && m->bad == NULL) {
        m->bad = name;
    }
    return value;
}

static uint64_t take_number(struct members *m, const char *name, uint64_t min, uint64_t max)
{
    const json_t *value = member(m, name);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number < min || (uint64_t)number > max) {
        m->bad = m->bad == NULL ? name : m->bad;
        return 0;
    }
    return (uint64_t)number;
}

static bool take_bool(struct members *m, const char *name)
{
    const json_t *value = member(m, name);

    if (!json_is_boolean(value)) {
        m->bad = m->bad == NULL ? name : m->bad;
    }
    return json_is_true(value);
}

/* jansson gives no text with a NUL in it. */
static void take_text(struct members *m, const char *name, bool may_be_empty, char *out,
                      size_t size_bytes)
{
    const char *text = json_string_value(member(m, name));

    if (text == NULL || !(codec_is_name(text, size_bytes) || (may_be_empty && text[0] == '\0'))) {
        m->bad = m->bad == NULL ? name : m->bad;
        text = "";
    }
    (void)snprintf(out, size_bytes, "%s", text);
}

static int fail_member(const struct members *m, struct error *err)
{
    return fail(err, ERR_PEER, 0, "the peer's message has no good member \"%s\"", m->bad);
}

static json_t *parse(struct const_span bytes, struct error *err)
{
    if (bytes.len_bytes > PEER_MESSAGE_MAX) {
        (void)fail(err, ERR_PEER, 0, "the peer's message is too long");
        return NULL;
    }
    json_t *root =
        json_loadb((const char *)bytes.at, bytes.len_bytes, JSON_REJECT_DUPLICATES, NULL);
    struct members m = {.object = root};
    (void)take_number(&m, "resilver", CODEC_VERSION, CODEC_VERSION);
    if (m.bad != NULL) {
        json_decref(root);
        (void)fail(err, ERR_PEER, 0,
                   "the peer's message is none of this version (\"resilver\": %d): bring both "
                   "hosts to the same version",
                   CODEC_VERSION);
        return NULL;
    }
    return root;
}

static void take_settings(struct members *m, struct relationship_settings *out)
{
    out->recovery_history = (uint32_t)take_number(m, "recovery_history", 0, REPLICA_HISTORY_MAX);
    out->interval_s = (uint32_t)take_number(m, "interval_s", 0, INTERVAL_MAX_S);
    out->rate_bytes_per_s = take_number(m, "rate_bytes_per_s", 0, INT64_MAX);
    out->auto_start_minute = (uint32_t)take_number(m, "auto_start_minute", 0, MINUTES_PER_DAY - 1);
    out->auto_end_minute = (uint32_t)take_number(m, "auto_end_minute", 0, MINUTES_PER_DAY - 1);
    out->is_auto_resync_enabled = take_bool(m, "is_auto_resync_enabled");
    out->is_compression_enabled = take_bool(m, "is_compression_enabled");
}

static bool is_among(const char *name, const struct relationship_disk *disks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(disks[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Fills disks, which has room for as many as the array has. */
static int take_disks(const json_t *array, struct relationship_disk *disks, struct error *err)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct members m = {.object = json_array_get(array, i)};
        struct relationship_disk *disk = &disks[i];
        take_text(&m, "name", false, disk->name, sizeof disk->name);
        disk->size_bytes = take_number(&m, "size_bytes", 0, DISK_SIZE_MAX);
        disk->is_included = take_bool(&m, "is_included");
        if (m.bad != NULL) {
            return fail_member(&m, err);
        }
        if (!is_disk_name(disk->name) || is_among(disk->name, disks, (uint32_t)i)) {
            return fail(err, ERR_PEER, 0, "the peer's message names a disk '%s', which cannot be",
                        disk->name);
        }
    }
    return 0;
}

static int take_relationship(const json_t *object, struct relationship_row *out, struct error *err)
{
    struct members m = {.object = object};
    char vm[UUID_TEXT_MAX];

    take_text(&m, "vm", false, vm, sizeof vm);
    take_text(&m, "vm_name", false, out->vm_name, sizeof out->vm_name);
    out->hop = (uint8_t)take_number(&m, "hop", 0, 1);
    out->generation = take_number(&m, "generation", 0, INT64_MAX);
    struct members settings = {.object = member(&m, "settings")};
    take_settings(&settings, &out->settings);
    const json_t *disks = member(&m, "disks");
    if (m.bad != NULL || settings.bad != NULL) {
        return fail_member(m.bad != NULL ? &m : &settings, err);
    }
    if (uuid_parse(vm, &out->vm, NULL) < 0 || uuid_is_nil(&out->vm) || !json_is_array(disks) ||
        json_array_size(disks) > DISKS_MAX) {
        return fail(err, ERR_PEER, 0,
                    "the peer's message names no VM, or its disks are no list of "
                    "at most %u",
                    DISKS_MAX);
    }
    if (json_array_size(disks) == 0) {
        return 0;
    }
    out->disks = calloc(json_array_size(disks), sizeof *out->disks);
    if (out->disks == NULL) {
        return fail(err, ERR_LIMIT, ENOMEM, "no memory for a peer's question");
    }
    out->disk_count = (uint32_t)json_array_size(disks);
    return take_disks(disks, out->disks, err);
}

static enum peer_call call_of(const char *name)
{
    for (int call = PEER_CALL_INVALID + 1; name != NULL && call <= PEER_CALL_MAX; call++) {
        if (strcmp(call_names[call], name) == 0) {
            return (enum peer_call)call;
        }
    }
    return PEER_CALL_INVALID;
}

int codec_decode_question(struct const_span bytes, struct peer_question *out, struct error *err)
{
    CLEANUP(json_free) json_t *root = parse(bytes, err);
    struct peer_question made = {.call = PEER_CALL_INVALID};

    if (root == NULL) {
        return -1;
    }
    made.call = call_of(json_string_value(json_object_get(root, "call")));
    if (made.call == PEER_CALL_INVALID) {
        return fail(err, ERR_PEER, 0, "the peer asks what this version does not know");
    }
    if (made.call != PEER_HELLO) {
        struct members m = {.object = root};
        made.is_initial = take_bool(&m, "is_initial");
        const json_t *row = member(&m, "relationship");
        if (m.bad != NULL) {
            return fail_member(&m, err);
        }
        if (take_relationship(row, &made.relationship, err) < 0) {
            free(made.relationship.disks);
            return -1;
        }
    }
    *out = made;
    return 0;
}

static bool is_return_value(uint64_t value)
{
    return value == RETURN_DONE || value == RETURN_JOB_STARTED ||
           (value >= RETURN_FAILED && value <= RETURN_FILE_NOT_FOUND);
}

int codec_decode_answer(struct const_span bytes, struct peer_answer *out, struct error *err)
{
    CLEANUP(json_free) json_t *root = parse(bytes, err);
    struct members m = {.object = root};
    struct peer_answer made = {.end = PEER_ANSWERED};

    if (root == NULL) {
        return -1;
    }
    uint64_t value = take_number(&m, "value", 0, RETURN_FILE_NOT_FOUND);
    take_text(&m, "message", true, made.message, sizeof made.message);
    take_text(&m, "host_name", true, made.host_name, sizeof made.host_name);
    take_text(&m, "version", true, made.version, sizeof made.version);
    if (m.bad != NULL) {
        return fail_member(&m, err);
    }
    if (!is_return_value(value)) {
        return fail(err, ERR_PEER, 0,
                    "the peer's answer has a value that this version does not "
                    "know");
    }
    made.value = (enum return_value)value;
    *out = made;
    return 0;
}
