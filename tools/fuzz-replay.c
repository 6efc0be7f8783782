/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-replay - main() for a fuzz target in an ordinary build: every file of every folder (or file) named on the command
 * line goes through LLVMFuzzerTestOneInput once, in the order of the names, and so does the empty input. Prints TAP.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLAY_FILE_MAX = 16 * 1024 * 1024, REPLAY_PATH_MAX = 4096 };

static int replay_file(const char *path)
{
    /* Why malloc of the exact size: a sanitizer then sees the first byte read past the end. */
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t size;
    int ok;

    if (!file || fstat(fileno(file), &st) != 0 || st.st_size > REPLAY_FILE_MAX) {
        fprintf(stderr, "# cannot read %s\n", path);
        if (file)
            (void)fclose(file);
        return -1;
    }
    size = (size_t)st.st_size;
    data = malloc(size ? size : 1);
    ok = data && fread(data, 1, size, file) == size;
    if (ok)
        (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    (void)fclose(file);
    return ok ? 0 : -1;
}

static int replay(const char *path, unsigned long *replayed)
{
    struct dirent **names = NULL;
    struct stat st;
    int count, failed = 0;

    if (stat(path, &st) != 0)
        return -1;
    if (!S_ISDIR(st.st_mode)) {
        ++*replayed;
        return replay_file(path);
    }
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char child[REPLAY_PATH_MAX];
        int n = snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);

        if (names[i]->d_name[0] != '.') {
            failed |= n < 0 || n >= (int)sizeof(child) || replay_file(child) != 0;
            ++*replayed;
        }
        free(names[i]);
    }
    free(names);
    return count < 0 || failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];
    unsigned long replayed = 0;
    int failed = 0;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..1\n");
    (void)LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i], &replayed) != 0;
    if (failed || replayed == 0) {
        printf("not ok 1 - replayed %lu files\n", replayed);
        return 1;
    }
    printf("ok 1 - replayed %lu files\n", replayed);
    return 0;
}
