/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay.c - run a fuzz target over committed inputs without libFuzzer.
 *
 * Arguments are folders of inputs. Every input must come back from the target; a crash or a
 * sanitizer's report ends the program as it would end the fuzzer. No input at all is a failure: a
 * corpus that was lost would look like success.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/attributes.h"

#define INPUT_MAX_BYTES (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fclosep(FILE **file)
{
    if (*file != NULL) {
        (void)fclose(*file); /* only read from: nothing can be lost */
    }
}

static void freep(uint8_t **bytes)
{
    free(*bytes);
}

/* Returns 1 (input replayed), 0 when path is not a plain file, -1 when it could not be read. */
static int replay_file(const char *path)
{
    CLEANUP(fclosep) FILE *file = fopen(path, "rb");
    CLEANUP(freep) uint8_t *bytes = NULL;
    struct stat status;

    if (file == NULL || fstat(fileno(file), &status) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!S_ISREG(status.st_mode)) {
        return 0;
    }
    if (status.st_size > INPUT_MAX_BYTES) {
        fprintf(stderr, "%s: larger than %d bytes\n", path, INPUT_MAX_BYTES);
        return -1;
    }
    size_t size_bytes = (size_t)status.st_size;

    /* Exactly as large as the input, so that the address sanitizer sees a read one byte past its
     * end. */
    bytes = malloc(size_bytes > 0 ? size_bytes : 1);
    if (bytes == NULL || fread(bytes, 1, size_bytes, file) != size_bytes) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    printf("%s\n", path);
    (void)fflush(stdout); /* the last name printed is the input that crashed */
    (void)LLVMFuzzerTestOneInput(bytes, size_bytes);
    return 1;
}

/* The number of plain files in the folder that were replayed, -1 when one could not be read. */
static int replay_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    int replayed = count < 0 ? -1 : 0;

    for (int i = 0; i < count; i++) {
        char name[PATH_MAX];
        int len = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        int result = len > 0 && (size_t)len < sizeof name ? replay_file(name) : -1;

        replayed = result < 0 || replayed < 0 ? -1 : replayed + result;
        free(entries[i]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char *argv[])
{
    int replayed = 0;

    for (int i = 1; i < argc; i++) {
        int result = replay_folder(argv[i]);

        if (result < 0) {
            fprintf(stderr, "%s: not a folder, or an input in it cannot be read\n", argv[i]);
            return 1;
        }
        replayed += result;
    }
    printf("%d inputs replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
