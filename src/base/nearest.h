/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nearest.h - what a mistyped word was probably meant to be.
 */
#ifndef RESILVER_BASE_NEAREST_H
#define RESILVER_BASE_NEAREST_H

#include <stddef.h>

/* nearest_pick - the better of best (NULL: none yet) and candidate as a correction of typed: at
 * most two letters, and fewer than half of the word, wrong, missing, too many, or swapped. NULL if
 * neither is near. */
const char *nearest_pick(const char *typed, const char *best, const char *candidate);

#endif
