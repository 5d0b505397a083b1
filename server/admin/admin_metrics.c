#include "server/admin/admin_metrics.h"

#include <stdio.h>

#include "common/base/log.h"
#include "server/broadcast/fanouts.h"
#include "server/http/services.h"
#include "server/journal/journal.h"
#include "server/metrics/counters.h"
#include "server/metrics/exposition.h"
#include "server/metrics/process_metrics.h"
#include "server/peer/peer_context.h"

/* What one worker knows. */
struct share {
    const struct counters *counters; /* to be read from any thread, but for the histograms: */
    struct duration_histogram latency;
    struct duration_histogram turns;
    uint64_t connections;
    uint64_t handshakes; /* of TLS, */
    uint64_t resumed;    /* and of those, that resumed a session */
    struct fanouts_stalled stalled;
};

/* ---- on each worker ---- */

static bool look(void *context, void *subject, void *share, unsigned *budget)
{
    const struct services *services = context;
    const struct peer_context *peers = services->peers;
    struct share *out = share;

    (void) subject;
    *budget = 0; /* it walks over the stalled: nothing else in this turn */
    out->counters = services->counters;
    out->latency = services->counters->latency;
    out->turns = services->counters->turns;
    out->connections = peers->peers;
    out->handshakes = peers->tls->handshakes;
    out->resumed = peers->tls->resumed;
    out->stalled = fanouts_stalled(services->fanouts);
    return true;
}

static void release(void *context, void *subject)
{
    (void) context;
    (void) subject;
}

static const struct question_kind kind = {sizeof(struct share), look, release, NULL};

/* ---- the page ---- */

static const struct share *share_at(const struct question *question, size_t i)
{
    return question_share(question, i);
}

/* The sum of one counter over all workers; `at` is its offset in struct counters. */
/* 0 where nothing is counted. */
static uint64_t counter_at(const struct counters *counters, size_t at)
{
    return counters != NULL
               ? counters_read(
                     (const _Atomic uint64_t *) (const void *) ((const char *) counters + at))
               : 0;
}

static uint64_t sum(const struct question *question, size_t at)
{
    uint64_t total = 0;

    for (size_t i = 0; i < question_count(question); i++)
        total += counter_at(share_at(question, i)->counters, at);
    return total;
}

#define SUM(member) sum(question, offsetof(struct counters, member))

static void write_connections(struct exposition *page, const struct question *question)
{
    uint64_t all = 0,
             frames = SUM(subscribed[COUNTERS_FRAMES]) - SUM(unsubscribed[COUNTERS_FRAMES]);
    uint64_t events = SUM(subscribed[COUNTERS_EVENTS]) - SUM(unsubscribed[COUNTERS_EVENTS]);

    for (size_t i = 0; i < question_count(question); i++)
        all += share_at(question, i)->connections;
    exposition_family(page, "wsbroadcastd_connections", "gauge",
                      "Connections that there are, by what is spoken on them.");
    exposition_count_of(page, "transport", "websocket", frames);
    exposition_count_of(page, "transport", "events", events);
    exposition_count_of(page, "transport", "http",
                        all > frames + events ? all - frames - events : 0);
    exposition_family(page, "wsbroadcastd_connections_accepted_total", "counter",
                      "Connections that have been accepted.");
    exposition_count(page, SUM(accepted));
    exposition_family(page, "wsbroadcastd_subscriptions_total", "counter",
                      "Subscribers that have joined a channel.");
    exposition_count_of(page, "transport", "websocket", SUM(subscribed[COUNTERS_FRAMES]));
    exposition_count_of(page, "transport", "events", SUM(subscribed[COUNTERS_EVENTS]));
}

static void write_responses(struct exposition *page, const struct question *question,
                            const struct limits *limits)
{
    exposition_family(page, "wsbroadcastd_http_responses_total", "counter",
                      "Responses to HTTP requests and opening handshakes, by status.");
    for (size_t i = 0; i < COUNTERS_STATUSES; i++) {
        char status[8];

        (void) snprintf(status, sizeof status, "%hu", counters_statuses[i]);
        exposition_count_of(page, "status", counters_statuses[i] != 0 ? status : "other",
                            SUM(responses[i]));
    }
    exposition_family(page, "wsbroadcastd_credentials_total", "counter",
                      "Credentials that requests have presented, by what became of them.");
    exposition_count_of(page, "verdict", "accepted", SUM(credentials[COUNTERS_ACCEPTED]));
    exposition_count_of(page, "verdict", "refused", SUM(credentials[COUNTERS_REFUSED]));
    exposition_count_of(page, "verdict", "limited", SUM(credentials[COUNTERS_LIMITED]));
    exposition_family(page, "wsbroadcastd_limit_hits_total", "counter",
                      "Limits that clients have hit, by the option that sets them.");
    for (size_t i = 0; i < LIMITS_NAMES; i++)
        exposition_count_of(page, "limit", limits_name(i), atomic_load(&limits->hits[i]));
}

/* Also of those that deliver for the workers. */
#define DELIVERED(member) \
    (SUM(member) + counter_at(own, offsetof(struct counters, member)) + \
     counter_at(journal->counters, offsetof(struct counters, member)))

static void write_messages(struct exposition *page, const struct question *question,
                           const struct counters *own, const struct journal_state *journal)
{
    static const char *const ways[] = {"websocket", "http", "stdin"};

    exposition_family(page, "wsbroadcastd_messages_received_total", "counter",
                      "Messages that were published, by the way they came in.");
    for (size_t i = 0; i < COUNTERS_WAYS; i++)
        exposition_count_of(page, "way", ways[i],
                            SUM(messages_in[i]) + counters_read(&own->messages_in[i]));
    exposition_family(page, "wsbroadcastd_received_bytes_total", "counter",
                      "Bytes of the payload of these messages.");
    for (size_t i = 0; i < COUNTERS_WAYS; i++)
        exposition_count_of(page, "way", ways[i],
                            SUM(bytes_in[i]) + counters_read(&own->bytes_in[i]));
    exposition_family(page, "wsbroadcastd_deliveries_total", "counter",
                      "Messages, times the subscribers that they were for.");
    exposition_count(page, DELIVERED(deliveries));
    exposition_family(page, "wsbroadcastd_sent_bytes_total", "counter",
                      "Bytes of frames and events that sockets have taken.");
    exposition_count_of(page, "transport", "websocket", SUM(bytes_out[COUNTERS_FRAMES]));
    exposition_count_of(page, "transport", "events", SUM(bytes_out[COUNTERS_EVENTS]));
    exposition_family(page, "wsbroadcastd_compression_input_bytes_total", "counter",
                      "Bytes of messages that were compressed, before that.");
    exposition_count(page, DELIVERED(deflated));
    exposition_family(page, "wsbroadcastd_compression_output_bytes_total", "counter",
                      "Bytes of the same messages, compressed.");
    exposition_count(page, DELIVERED(deflated_out));
}

static void write_slow(struct exposition *page, const struct question *question)
{
    struct fanouts_stalled all = {0};

    for (size_t i = 0; i < question_count(question); i++) {
        const struct fanouts_stalled *one = &share_at(question, i)->stalled;

        all.subscribers += one->subscribers;
        all.worst = one->worst > all.worst ? one->worst : all.worst;
    }
    exposition_family(page, "wsbroadcastd_stalled_subscribers", "gauge",
                      "Subscribers whose sockets are full.");
    exposition_count(page, all.subscribers);
    exposition_family(page, "wsbroadcastd_worst_lag_bytes", "gauge",
                      "How far the slowest of them is behind.");
    exposition_count(page, all.worst);
    exposition_family(page, "wsbroadcastd_slow_subscribers_total", "counter",
                      "Subscribers that lagged too far (--max-lag), by what became of them.");
    exposition_count_of(page, "fate", "closed", SUM(slow_closed));
    exposition_count_of(page, "fate", "skipped", SUM(slow_skipped));
}

static void write_memory(struct exposition *page, const struct services *services)
{
    exposition_family(page, "wsbroadcastd_channels", "gauge",
                      "Channels that there are, the default one among them.");
    exposition_count(page, channels_count(services->channels) + 1);
    exposition_family(page, "wsbroadcastd_retained_bytes", "gauge",
                      "Memory that the history of all channels takes.");
    exposition_count(page, histories_memory(&services->channels->histories));
    exposition_family(page, "wsbroadcastd_memory_bytes", "gauge",
                      "Memory that clients make the server hold, as --max-memory bounds it.");
    exposition_count(page, memory_used(services->memory));
    exposition_family(page, "wsbroadcastd_memory_limit_bytes", "gauge",
                      "That bound; 0: there is none.");
    exposition_count(page, services->memory->max);
}

static void write_store(struct exposition *page, const struct journal_state *journal)
{
    exposition_family(
        page, "wsbroadcastd_store_degraded", "gauge",
        "1 while the store (--store) cannot be written, and nothing can be published.");
    exposition_count(page, journal->degraded ? 1 : 0);
    exposition_family(page, "wsbroadcastd_store_pending_bytes", "gauge",
                      "Bytes of messages that wait to be stored.");
    exposition_count(page, journal->pending);
    exposition_family(page, "wsbroadcastd_store_bytes", "gauge",
                      "Bytes of the store, without what is yet to be moved into it.");
    exposition_count(page, journal->bytes);
    exposition_family(page, "wsbroadcastd_store_commits_total", "counter",
                      "Groups of messages that were written, by what became of them.");
    exposition_count_of(page, "result", "committed", journal->commits);
    exposition_count_of(page, "result", "failed", journal->failures);
}

static void write_workers(struct exposition *page, const struct question *question)
{
    struct duration_histogram latency = {0};
    uint64_t handshakes = 0, resumed = 0;

    for (size_t i = 0; i < question_count(question); i++) {
        duration_add(&latency, &share_at(question, i)->latency);
        handshakes += share_at(question, i)->handshakes;
        resumed += share_at(question, i)->resumed;
    }
    exposition_family(page, "wsbroadcastd_publish_latency_seconds", "histogram",
                      "Time from a message to the last subscriber of a worker whose socket takes "
                      "it; messages that are flushed together count once.");
    exposition_duration(page, NULL, NULL, &latency);
    exposition_family(page, "wsbroadcastd_turn_duration_seconds", "histogram",
                      "Time that turns of a worker's loop take, without waiting for events.");
    for (size_t i = 0; i < question_count(question); i++) {
        char number[24];

        (void) snprintf(number, sizeof number, "%zu", i);
        exposition_duration(page, "worker", number, &share_at(question, i)->turns);
    }
    exposition_family(page, "wsbroadcastd_tls_handshakes_total", "counter",
                      "TLS handshakes that were completed.");
    exposition_count_of(page, "resumed", "true", resumed);
    exposition_count_of(page, "resumed", "false", handshakes - resumed);
}

static int write_page(struct request *request, const struct question *question)
{
    const struct services *services = request->services;
    struct journal_state journal;
    struct exposition page;

    journal_look(services->publish->journal, &journal);
    exposition_init(&page, &request->response.body);
    exposition_family(&page, "wsbroadcastd_build_info", "gauge", "The version that runs.");
    exposition_count_of(&page, "version", WS_VERSION, 1);
    write_connections(&page, question);
    write_responses(&page, question, services->limits);
    write_messages(&page, question, services->stdin_counters, &journal);
    write_slow(&page, question);
    write_memory(&page, services);
    write_store(&page, &journal);
    write_workers(&page, question);
    exposition_family(&page, "wsbroadcastd_log_lines_dropped_total", "counter",
                      "Lines of the log that were left out.");
    exposition_count(&page, log_dropped());
    process_metrics_write(&page);
    return page.status;
}

/* ---- the request ---- */

static void on_answered(void *asker, const struct question *question)
{
    struct request *request = asker;

    request->response.status = 200;
    request->response.type = EXPOSITION_TYPE;
    if (write_page(request, question) != 0)
        (void) request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    request_resume(request, REQUEST_ANSWERED);
}

static void forget(void *context)
{
    question_forget(context);
}

enum request_outcome admin_metrics(struct request *request)
{
    static char subject; /* all ask for the same */
    struct question *question;

    if (question_ask(&question, request->services->desk, &kind, &subject, request, on_answered) !=
        0)
        return request_refuse(request, 503, RESPONSE_OUT_OF_MEMORY);
    return request_wait(request, forget, question);
}
