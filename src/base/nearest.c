/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 32U
#define DISTANCE_MAX 2U

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two words, a swap of neighbours counting as one (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t rows[WORD_MAX + 1][WORD_MAX + 1] = {{0}};

    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return WORD_MAX;
    }
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            rows[i][j] =
                min_of(min_of(rows[i - 1][j], rows[i][j - 1]) + 1, rows[i - 1][j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                rows[i][j] = min_of(rows[i][j], rows[i - 2][j - 2] + 1);
            }
        }
    }
    return rows[a_len][b_len];
}

const char *nearest_pick(const char *typed, const char *best, const char *candidate)
{
    size_t edits = distance(typed, candidate);

    if (edits > DISTANCE_MAX || edits * 2 >= strlen(candidate)) {
        return best;
    }
    return best == NULL || edits < distance(typed, best) ? candidate : best;
}
