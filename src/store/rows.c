/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void relationship_row_done(struct relationship_row *row)
{
    free(row->disks);
    row->disks = NULL;
    row->disk_count = 0;
}

int relationship_row_copy(struct relationship_row *to, const struct relationship_row *from,
                          struct error *err)
{
    struct relationship_disk *disks = NULL;

    if (from->disk_count > 0) {
        disks = calloc(from->disk_count, sizeof *disks);
        if (disks == NULL) {
            return fail(err, ERR_LIMIT, ENOMEM, "out of memory for the disks of a relationship");
        }
        memcpy(disks, from->disks, from->disk_count * sizeof *disks);
    }
    *to = *from;
    to->disks = disks;
    return 0;
}

void job_row_done(struct job_row *row)
{
    free(row->report);
    row->report = NULL;
}
