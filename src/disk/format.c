/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk/format.h"

#include <string.h>

#include "base/reader.h"

static const struct {
    enum disk_format format;
    const char *name;
} names[] = {
    {DISK_FORMAT_RAW, "raw"},   {DISK_FORMAT_QCOW2, "qcow2"}, {DISK_FORMAT_VHDX, "vhdx"},
    {DISK_FORMAT_VMDK, "vmdk"}, {DISK_FORMAT_VDI, "vdi"},
};

enum disk_format disk_format_parse(const char *text)
{
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(text, names[i].name) == 0) {
            return names[i].format;
        }
    }
    return DISK_FORMAT_INVALID;
}

const char *disk_format_name(enum disk_format format)
{
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (names[i].format == format) {
            return names[i].name;
        }
    }
    return "unknown";
}

enum disk_format format_by_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(base, '.');

    if (dot == NULL) {
        return DISK_FORMAT_RAW;
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcasecmp(dot + 1, names[i].name) == 0) {
            return names[i].format;
        }
    }
    return DISK_FORMAT_RAW;
}

static bool starts_with(struct const_span head, const char *mark)
{
    size_t len_bytes = strlen(mark);

    return head.len_bytes >= len_bytes && memcmp(head.at, mark, len_bytes) == 0;
}

/* A VDI begins with a line of free text; its mark stands behind that. */
static bool is_vdi(struct const_span head)
{
    struct reader r = reader_init(head);

    (void)read_bytes(&r, 64);
    return read_u32(&r) == 0xbeda107fU;
}

/* Sources: QEMU docs/interop/qcow2.txt; MS-VHDX 2.2.1; VMware Virtual Disk Format 5.0, "Sparse
 * Extent" and "The Descriptor File"; VirtualBox VDICore.h. */
enum disk_format format_by_magic(struct const_span head)
{
    if (starts_with(head, "QFI\xfb")) {
        return DISK_FORMAT_QCOW2;
    }
    if (starts_with(head, "vhdxfile")) {
        return DISK_FORMAT_VHDX;
    }
    if (starts_with(head, "KDMV") || starts_with(head, "# Disk DescriptorFile")) {
        return DISK_FORMAT_VMDK;
    }
    if (is_vdi(head)) {
        return DISK_FORMAT_VDI;
    }
    return DISK_FORMAT_RAW;
}
