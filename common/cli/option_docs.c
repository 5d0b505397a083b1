#include "common/cli/option_docs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "common/cli/option_completion.h"
#include "common/cli/option_manual.h"

enum { EXIT_USAGE = 2 };

/* The template's page. Returns 0, or a negative UV_E* code with a text. */
static int print_manual(const struct option_table *table, const char *name, FILE *out,
                        struct error *error)
{
    FILE *template = fopen(name, "re");
    int status;

    if (template == NULL)
        return error_set(error, -errno, "cannot open '%s': %s", name, strerror(errno));
    status = option_manual_print(table, template, out, error);
    if (status == 0 && ferror(template))
        status = error_set(error, UV_EIO, "cannot read '%s'", name);
    (void) fclose(template);
    return status;
}

static int print_form(const struct option_table *table, char **argv, FILE *out, struct error *error)
{
    static const struct {
        const char *form;
        void (*print)(const struct option_table *table, FILE *out);
    } completions[] = {
        {"bash", option_completion_print_bash},
        {"zsh", option_completion_print_zsh},
        {"fish", option_completion_print_fish},
    };

    if (strcmp(argv[1], "man") == 0)
        return print_manual(table, argv[3], out, error);
    for (size_t i = 0; i < sizeof completions / sizeof *completions; i++) {
        if (strcmp(argv[1], completions[i].form) == 0) {
            completions[i].print(table, out);
            return 0;
        }
    }
    return error_set(error, UV_EINVAL, "'%s' is none of man, bash, zsh, fish", argv[1]);
}

/* A file that is not whole goes, or the next build would take it for that; a device stays. */
static void remove_output(const char *name)
{
    struct stat about;

    if (lstat(name, &about) == 0 && S_ISREG(about.st_mode))
        (void) remove(name);
}

int option_docs_main(const struct option_table *table, int argc, char **argv)
{
    struct error error;
    FILE *out;
    int status;

    if (argc < 3 || argc != (strcmp(argv[1], "man") == 0 ? 4 : 3)) {
        fprintf(stderr, "Usage: %s_docs man OUTPUT TEMPLATE | bash|zsh|fish OUTPUT\n",
                table->program);
        return EXIT_USAGE;
    }
    out = fopen(argv[2], "we");
    if (out == NULL) {
        fprintf(stderr, "%s: cannot write '%s': %s\n", argv[0], argv[2], strerror(errno));
        return EXIT_FAILURE;
    }
    status = print_form(table, argv, out, &error);
    if (ferror(out) | fclose(out)) { /* closed in any case */
        if (status == 0)
            status = error_set(&error, UV_EIO, "cannot write '%s'", argv[2]);
    }
    if (status == 0)
        return EXIT_SUCCESS;
    remove_output(argv[2]);
    fprintf(stderr, "%s: %s\n", argv[0], error.text);
    return EXIT_FAILURE;
}
