#include "client/connect/passphrase.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ui.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/connect/request.h"
#include "client/options/client_options.h"
#include "common/base/escape.h"
#include "common/base/log.h"
#include "common/base/process.h"

enum { INTERRUPTED = -2 }; /* what UI_process returns for Ctrl-C */

static int from_file(const char *name, char *out, int size)
{
    struct error error;
    char *secret = NULL;
    size_t len;
    int status = request_read_secret(&secret, name, &error);

    if (status != 0)
        log_error("%s", error.text);
    if (secret == NULL)
        return -1;
    len = strlen(secret);
    if (status == 0 && len <= (size_t) size)
        memcpy(out, secret, len);
    OPENSSL_cleanse(secret, len);
    free(secret);
    return status == 0 && len <= (size_t) size ? (int) len : -1;
}

/* In the background, reading would stop the process. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    bool ours = fd >= 0 && tcgetpgrp(fd) == getpgrp();

    if (fd >= 0)
        (void) close(fd);
    return ours;
}

static int ask(const char *file, char *out, int size)
{
    UI *ui = UI_new_method(UI_OpenSSL());
    char shown[128], prompt[192];
    int status = -1;

    if (ui == NULL)
        return -1;
    (void) snprintf(prompt, sizeof prompt,
                    "Passphrase of %s: ", escape_text(shown, sizeof shown, file, strlen(file)));
    if (UI_add_input_string(ui, prompt, 0, out, 0, size - 1) > 0)
        status = UI_process(ui);
    UI_free(ui);
    if (status == INTERRUPTED)
        process_die_of(SIGINT);
    return status == 0 ? (int) strlen(out) : -1;
}

int passphrase_get(void *options, const char *file, char *out, int size)
{
    const struct client_options *given = options;

    if (given->key_pass_file != NULL)
        return from_file(given->key_pass_file, out, size);
    return has_terminal() ? ask(file, out, size) : -1;
}
