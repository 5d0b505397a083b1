/* Messages on disk (--store). */
#include "common/base/log.h"
#include "server/server_private.h"

int server_store_open(struct server *server, struct error *error)
{
    const struct server_options *options = &server->config->options;
    int status;

    journal_init_memory(&server->memory);
    server->journal = &server->memory;
    if (options->store == NULL)
        return 0;
    status = journal_sqlite_open(&server->store,
                                 &(struct journal_sqlite_config){
                                     .path = options->store,
                                     .fast = options->store_fast,
                                     .new_epochs = options->new_epoch,
                                     .disk = options->history_total,
                                     .memory = options->history_memory,
                                     .patience = options->store_patience,
                                     .compression_min = options->compression_min,
                                     .compression_level = (int) options->compression_level,
                                 },
                                 &server->channels, error);
    if (status != 0)
        return status;
    server->journal = journal_sqlite_of(server->store);
    log_info("messages are stored in %s", options->store);
    return 0;
}

void server_store_configure(struct server *server)
{
    const struct server_options *options = &server->config->options;

    if (server->store != NULL)
        journal_sqlite_reconfigure(server->store, options->history_total, options->store_patience);
}

void server_store_close(struct server *server)
{
    journal_sqlite_close(server->store);
    server->store = NULL;
}
