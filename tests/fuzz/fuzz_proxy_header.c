/* A header of the PROXY protocol: the same however it is cut, and no more is taken than the header
 * has. The choice: the pieces. */
#include <string.h>

#include "server/net/proxy_protocol.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    enum proxy_protocol_step step;
    size_t taken;
    struct proxy_protocol_client client;
};

static struct outcome feed(const uint8_t *data, size_t size, size_t most)
{
    struct outcome outcome = {.step = PROXY_PROTOCOL_MORE};
    struct proxy_protocol header;

    proxy_protocol_init(&header);
    while (outcome.step == PROXY_PROTOCOL_MORE && outcome.taken < size) {
        size_t len = size - outcome.taken < most ? size - outcome.taken : most, used;

        outcome.step =
            proxy_protocol_feed(&header, data + outcome.taken, len, &used, &outcome.client);
        fuzz_check(used > 0 && used <= len, "%zu of %zu bytes are used", used, len);
        outcome.taken += used;
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    whole = feed(data, size, size);
    cut = feed(data, size, 1U + data[size - 1] % 32);
    fuzz_check(whole.step == cut.step, "step %d whole, %d in pieces", whole.step, cut.step);
    if (whole.step != PROXY_PROTOCOL_DONE)
        return 0;
    fuzz_check(whole.taken == cut.taken, "%zu bytes whole, %zu in pieces", whole.taken, cut.taken);
    fuzz_check(whole.client.known == cut.client.known, "known or not");
    fuzz_check(!whole.client.known || memcmp(&whole.client.address, &cut.client.address,
                                             sizeof cut.client.address) == 0,
               "the address");
    return 0;
}
