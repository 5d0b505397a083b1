/* The passphrase of the key of --cert: from the file of --key-pass-file, or asked for on the
 * terminal, without echo, if wsrecv runs in its foreground. */
#ifndef WS_CLIENT_CONNECT_PASSPHRASE_H
#define WS_CLIENT_CONNECT_PASSPHRASE_H

/* A tls_passphrase_cb; `options` is a struct client_options. Where there is neither a file nor a
 * terminal it returns at once. */
int passphrase_get(void *options, const char *file, char *out, int size);

#endif
