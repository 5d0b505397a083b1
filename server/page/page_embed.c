/* Run by the build, never installed: page_embed OUTPUT PATH FILE [PATH FILE]... writes the C source
 * of the files, each served at its PATH, as they are and compressed with gzip. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_FILE = 1024 * 1024, ETAG_BYTES = 12 };

#define POLICY \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct file {
    const char *path;
    unsigned char plain[MAX_FILE];
    size_t len;
    unsigned char gzip[MAX_FILE];
    size_t gzip_len;
    char etag[2 * ETAG_BYTES + 1];
};

static void die(const char *what, const char *name)
{
    (void) fprintf(stderr, "page_embed: %s: %s\n", name, what);
    exit(1);
}

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},     {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"}, {".svg", "image/svg+xml"},
        {".d.ts", "text/plain; charset=utf-8"},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len = strlen(name), end = strlen(types[i][0]);

        if (len >= end && strcmp(name + len - end, types[i][0]) == 0)
            return types[i][1];
    }
    die("a file of an unknown kind", name);
    return NULL;
}

static void compress_file(struct file *file)
{
    z_stream stream = {.next_in = file->plain,
                       .avail_in = (unsigned) file->len,
                       .next_out = file->gzip,
                       .avail_out = MAX_FILE};

    /* 16 more than the window's bits: gzip. Without a name or time the same input makes the same.
     */
    if (deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&stream, Z_FINISH) != Z_STREAM_END)
        die("cannot be compressed", file->path);
    file->gzip_len = stream.total_out;
    (void) deflateEnd(&stream);
}

static void read_file(struct file *file, const char *path, const char *name)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    FILE *in = fopen(name, "rb");

    if (in == NULL)
        die("cannot be opened", name);
    file->path = path;
    file->len = fread(file->plain, 1, MAX_FILE, in);
    if (ferror(in) || file->len == MAX_FILE)
        die("cannot be read, or is too large", name);
    (void) fclose(in);
    compress_file(file);
    if (EVP_Digest(file->plain, file->len, digest, NULL, EVP_sha256(), NULL) != 1)
        die("cannot be hashed", name);
    for (size_t i = 0; i < ETAG_BYTES; i++)
        (void) snprintf(file->etag + 2 * i, 3, "%02x", digest[i]);
}

static void write_bytes(FILE *out, const char *form, size_t index, const unsigned char *data,
                        size_t len)
{
    (void) fprintf(out, "static const unsigned char %s_%zu[] = {", form, index);
    for (size_t i = 0; i < len; i++)
        (void) fprintf(out, "%s%u,", i % 20 == 0 ? "\n" : "", data[i]);
    (void) fprintf(out, "\n};\n");
}

static void write_form(FILE *out, const char *form, size_t index, size_t len, const char *etag)
{
    (void) fprintf(out,
                   "     {%s_%zu, %zu,\n"
                   "      \"ETag: \\\"%s\\\"\\r\\n%s"
                   "Vary: Accept-Encoding\\r\\n"
                   "X-Content-Type-Options: nosniff\\r\\n"
                   "Referrer-Policy: no-referrer\\r\\n"
                   "Content-Security-Policy: " POLICY "\\r\\n\"},\n",
                   form, index, len, etag, form[0] == 'g' ? "Content-Encoding: gzip\\r\\n" : "");
}

int main(int argc, char **argv)
{
    static struct file files[16];
    size_t count = argc > 2 ? (size_t) (argc - 2) / 2 : 0;
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;

    if (out == NULL || count > sizeof files / sizeof *files)
        die("usage: page_embed OUTPUT PATH FILE [PATH FILE]...", argc > 1 ? argv[1] : "");
    (void) fprintf(out, "/* Made by page_embed. */\n#include \"server/page/page_asset.h\"\n\n");
    for (size_t i = 0; i < count; i++) {
        read_file(&files[i], argv[2 + 2 * i], argv[3 + 2 * i]);
        write_bytes(out, "plain", i, files[i].plain, files[i].len);
        write_bytes(out, "gzip", i, files[i].gzip, files[i].gzip_len);
    }
    (void) fprintf(out, "\nconst struct page_asset page_asset_table[] = {\n");
    for (size_t i = 0; i < count; i++) {
        (void) fprintf(out, "    {\"%s\", \"%s\", \"\\\"%s\\\"\",\n", files[i].path,
                       type_of(argv[3 + 2 * i]), files[i].etag);
        write_form(out, "plain", i, files[i].len, files[i].etag);
        write_form(out, "gzip", i, files[i].gzip_len, files[i].etag);
        (void) fprintf(out, "    },\n");
    }
    (void) fprintf(out, "};\nconst size_t page_asset_count = %zu;\n", count);
    if (fclose(out) != 0)
        die("cannot be written", argv[1]);
    return 0;
}
