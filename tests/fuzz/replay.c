/* Runs a harness over files, and over the files of directories: what libFuzzer does when it is
 * given files, but with any compiler. Names each input first, so that the last one named is
 * the one that crashed. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t replayed;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t len = 0, size = 0;

    fuzz_check(file != NULL, "cannot open '%s': %s", path, strerror(errno));
    do {
        size = len + 65536;
        data = realloc(data, size); /* cppcheck-suppress memleakOnRealloc; it ends us */
        fuzz_check(data != NULL, "out of memory");
        len += fread(data + len, 1, size - len, file);
    } while (len == size);
    fuzz_check(ferror(file) == 0, "cannot read '%s'", path);
    (void) fclose(file);
    (void) printf("%s\n", path);
    (void) fflush(stdout);

    uint8_t *exact = fuzz_copy(data, len);

    free(data);
    (void) LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    replayed++;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as its directories
static void replay(const char *path)
{
    struct dirent **entries;
    struct stat about;
    int count;

    if (stat(path, &about) != 0 && errno == ENOENT)
        return; /* nothing was found yet */
    if (!S_ISDIR(about.st_mode)) {
        replay_file(path);
        return;
    }
    count = scandir(path, &entries, NULL, alphasort);
    fuzz_check(count >= 0, "cannot list '%s': %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char inner[PATH_MAX];

        (void) snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay(inner);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    (void) printf("%zu inputs\n", replayed);
    return replayed > 0 ? 0 : 1; /* a test of nothing is a mistake */
}
