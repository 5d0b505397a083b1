#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#include "tests/bench/check.h"
#include "tests/bench/crowd.h"
#include "tests/bench/modes.h"
#include "tests/bench/span.h"

static const uint64_t second = 1000 * 1000 * 1000;
static const uint64_t ms = 1000 * 1000;

struct fan_out {
    struct crowd crowd;
    struct span span;
    bool sending;
    bool overload;     /* open loop: the server is more than two seconds behind */
    uint64_t next_due; /* open loop: ns */
    uint64_t sent;     /* open loop: since it began */
    uint64_t began;
    uint64_t slow_closed, slow_closed_1008;
};

/* Closed loop: whoever's message is done sends the next. */
static void refill(struct fan_out *run)
{
    struct flight *flight = &run->crowd.flight;

    for (size_t i = 0; i < flight->done_count && run->sending; i++)
        (void) crowd_publish(&run->crowd, flight->done[i], run->crowd.now);
    flight->done_count = 0;
}

/* Open loop: all that is due by now. A message's latency counts from when it was due, however late
 * it could be sent. */
static void keep_rate(struct fan_out *run)
{
    const struct load_options *options = run->crowd.options;

    run->crowd.flight.done_count = 0;
    while (run->sending && run->crowd.now >= run->next_due) {
        uint32_t publisher = (uint32_t) (run->sent % options->publishers);

        if (run->crowd.flight.under_way > 2 * options->rate + 100 ||
            !crowd_publish(&run->crowd, publisher, run->next_due)) {
            run->overload = true;
            run->sending = false;
            return;
        }
        run->sent++;
        run->next_due = run->began + run->sent * second / options->rate;
    }
}

static void on_tick(struct crowd *crowd)
{
    struct fan_out *run = crowd->data;

    if (crowd->options->rate > 0)
        keep_rate(run);
    else if (crowd->flight.done_count > 0)
        refill(run);
}

/* Turns until `end`, or until `messages` more were sent, if that is no 0. */
static void run_until(struct fan_out *run, uint64_t end, uint64_t messages)
{
    struct crowd *crowd = &run->crowd;
    uint32_t first = crowd->flight.last;

    while (crowd->lost + crowd->faults == 0 && !run->overload &&
           (messages > 0 ? crowd->flight.last - first < messages : crowd->now < end)) {
        uint64_t timeout = 10 * ms;

        if (crowd->options->rate > 0 && run->next_due < crowd->now + timeout)
            timeout = run->next_due > crowd->now ? run->next_due - crowd->now : 0;
        crowd_turn(crowd, timeout);
    }
}

/* Waits for what is under way, as long as something comes. */
static void drain(struct fan_out *run)
{
    struct crowd *crowd = &run->crowd;
    uint64_t deadline = crowd->now + 5 * second, seen = 0;

    run->sending = false;
    while (crowd->flight.under_way > 0 && crowd->now < deadline && crowd->lost == 0) {
        crowd_turn(crowd, 10 * ms);
        flight_settle(&crowd->flight);
        if (crowd->flight.deliveries != seen)
            deadline = crowd->now + 5 * second;
        seen = crowd->flight.deliveries;
    }
}

static void on_closed(struct crowd *crowd, struct client *client)
{
    struct fan_out *run = crowd->data;

    if (!client->slow)
        return;
    crowd->lost--; /* that is what may happen to the slow */
    run->slow_closed++;
    run->slow_closed_1008 += client->close_code == 1008;
}

/* Lets the slow read at last, and sees who of them was closed. */
static void wake_slow(struct fan_out *run)
{
    struct crowd *crowd = &run->crowd;
    uint64_t end = crowd_clock() + 3 * second;

    for (size_t i = 0; i < crowd->count; i++) {
        if (crowd->clients[i].slow)
            crowd_resume(crowd, &crowd->clients[i]);
    }
    while (crowd->now < end && run->slow_closed < crowd->options->slow)
        crowd_turn(crowd, 10 * ms);
}

/* Returns 0 when every subscriber got every message once, and as it was. */
static int verify(struct fan_out *run, struct error *error)
{
    struct crowd *crowd = &run->crowd;
    const struct flight *flight = &crowd->flight;

    if (crowd->faults + crowd->lost > 0)
        return error_set(error, UV_EPROTO, "%s",
                         crowd->fault.text[0] != '\0' ? crowd->fault.text
                                                      : "the server ended a connection");
    if (run->overload)
        return 0; /* it is said in the line, and what was under way is not waited for */
    if (flight->under_way > 0)
        return error_set(error, UV_ETIMEDOUT, "%" PRIu32 " of %" PRIu32 " messages never got done",
                         flight->under_way, flight->last);
    if (flight->unknown > 0)
        return error_set(error, UV_EPROTO, "%" PRIu64 " deliveries came twice", flight->unknown);
    for (size_t i = 0; i < crowd->options->subscribers; i++) {
        if (crowd->clients[i].received != flight->last)
            return error_set(error, UV_EPROTO,
                             "subscriber %zu got %" PRIu64 " messages of %" PRIu32, i,
                             crowd->clients[i].received, flight->last);
    }
    return 0;
}

/* True when all who are verified heard everything in one and the same order. */
static bool one_order(const struct crowd *crowd)
{
    for (size_t i = 1; i < crowd->count; i++) {
        if (crowd->clients[i].check != NULL &&
            crowd->clients[i].check->order != crowd->clients[0].check->order)
            return false;
    }
    return true;
}

static void print_latency(const char *name, const struct histogram *histogram)
{
    printf(",\"%s_ms\":{\"p50\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f}", name,
           (double) histogram_quantile(histogram, 0.5) / 1e6,
           (double) histogram_quantile(histogram, 0.99) / 1e6,
           (double) histogram_quantile(histogram, 0.999) / 1e6, (double) histogram->max / 1e6);
}

static void print(const struct fan_out *run, bool ok)
{
    const struct crowd *crowd = &run->crowd;
    const struct load_options *options = crowd->options;

    printf("{\"mode\":\"load\",\"ok\":%s,\"subscribers\":%" PRIu64 ",\"publishers\":%" PRIu64
           ",\"in_flight\":%" PRIu64 ",\"rate\":%" PRIu64 ",\"size\":%" PRIu64,
           ok ? "true" : "false", options->subscribers, options->publishers,
           options->rate > 0 ? 0 : options->in_flight, options->rate, options->size);
    printf(",\"tls\":%s,\"deflate\":%s,\"inflated\":%" PRIu64 ",\"overload\":%s,\"one_order\":%s",
           options->tls ? "true" : "false", options->deflate ? "true" : "false", crowd->inflated,
           run->overload ? "true" : "false", one_order(crowd) ? "true" : "false");
    span_print(&run->span, crowd, stdout);
    print_latency("each", &crowd->flight.each);
    print_latency("final", &crowd->flight.final);
    if (options->slow > 0)
        printf(",\"slow\":%" PRIu64 ",\"slow_closed\":%" PRIu64 ",\"slow_closed_1008\":%" PRIu64,
               options->slow, run->slow_closed, run->slow_closed_1008);
    printf("}\n");
}

static void measure(struct fan_out *run)
{
    struct crowd *crowd = &run->crowd;
    const struct load_options *options = crowd->options;

    run->sending = true;
    run->began = run->next_due = crowd->now = crowd_clock();
    for (uint64_t i = 0; i < options->in_flight && options->rate == 0; i++)
        (void) crowd_publish(crowd, (uint32_t) (i % options->publishers), crowd->now);
    run_until(run, crowd->now + options->warmup * ms, 0);
    flight_settle(&crowd->flight);
    histogram_reset(&crowd->flight.each);
    histogram_reset(&crowd->flight.final);
    span_mark(&run->span.begin, crowd);
    run_until(run, run->span.begin.time + options->duration * ms, options->messages);
    span_mark(&run->span.end, crowd);
}

int fan_out_run(const struct load_options *options, struct error *error)
{
    struct fan_out run = {0};
    size_t count = options->subscribers + options->slow;
    int status = crowd_init(&run.crowd, options, count, (uint32_t) options->subscribers, error);

    if (status != 0)
        return status;
    run.crowd.data = &run;
    for (size_t i = options->subscribers; i < count; i++)
        run.crowd.clients[i].slow = run.crowd.clients[i].odd = true;
    status = crowd_open(&run.crowd, 0, count, error);
    if (status == 0) {
        run.crowd.tick_cb = on_tick;
        run.crowd.closed_cb = on_closed;
        measure(&run);
        if (!run.overload)
            drain(&run);
        status = verify(&run, error);
        if (options->slow > 0)
            wake_slow(&run);
        print(&run, status == 0);
    }
    run.crowd.closed_cb = NULL;
    crowd_deinit(&run.crowd);
    return status;
}
