/* Run by the build, never installed: makes wsbroadcastd's man page and completions. */
#include "common/cli/option_docs.h"
#include "server/config/server_options.h"

int main(int argc, char **argv)
{
    return option_docs_main(&server_options_table, argc, argv);
}
