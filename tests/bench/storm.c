#include <uv.h>

#include "tests/bench/modes.h"

int storm_run(const struct load_options *options, struct error *error)
{
    (void) options;
    return error_set(error, UV_ENOSYS, "storm is not there yet");
}
