#include "server/page/page_asset.h"

#include <string.h>

const struct page_asset *page_asset_find(const char *path, size_t len)
{
    for (size_t i = 0; i < page_asset_count; i++) {
        if (strlen(page_asset_table[i].path) == len &&
            memcmp(page_asset_table[i].path, path, len) == 0)
            return &page_asset_table[i];
    }
    return NULL;
}
