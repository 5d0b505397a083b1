/* Run by the build: writes the example of a configuration file. */
#include <stdio.h>
#include <stdlib.h>

#include "server/config/config.h"

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;

    if (out == NULL) {
        fprintf(stderr, "wsbroadcastd_example: needs the name of a file that it can write\n");
        return EXIT_FAILURE;
    }
    config_print_example(out);
    return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
