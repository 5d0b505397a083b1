/* A certificate for localhost, signed by itself, in files: for tests of a single source file. */
#ifndef WS_TESTS_UNIT_TLS_FILES_H
#define WS_TESTS_UNIT_TLS_FILES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/test_tls.XXXXXX";
static char cert_file[64], key_file[64];

static void write_files(EVP_PKEY *key, X509 *cert)
{
    FILE *file = fopen(key_file, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(cert_file, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(fclose(file), 0);
}

static int make_certificate(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");

    (void) state;
    assert_non_null(mkdtemp(directory));
    (void) snprintf(cert_file, sizeof cert_file, "%s/cert.pem", directory);
    (void) snprintf(key_file, sizeof key_file, "%s/key.pem", directory);
    (void) X509_set_version(cert, X509_VERSION_3);
    (void) ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void) X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void) X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void) X509_set_pubkey(cert, key);
    (void) X509_add_ext(cert, names, -1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    write_files(key, cert);
    X509_EXTENSION_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_certificate(void **state)
{
    (void) state;
    (void) unlink(cert_file);
    (void) unlink(key_file);
    return rmdir(directory);
}

#endif
