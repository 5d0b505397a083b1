/* Run by the build, never installed: makes wsrecv's man page and completions. */
#include "client/options/client_options.h"
#include "common/cli/option_docs.h"

int main(int argc, char **argv)
{
    return option_docs_main(&client_options_table, argc, argv);
}
