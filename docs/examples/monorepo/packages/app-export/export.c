/* export FILE: prints a ledger as JSON, amounts in hundredths. export --version: prints the version. */
#include "buffer.h"
#include "json.h"
#include "ledger.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

static struct ledger ledger;

static void add_entry(struct json *json, const struct entry *entry)
{
    json_open(json, '{');
    json_name(json, "item");
    json_text(json, entry->item);
    json_name(json, "quantity");
    json_number(json, entry->quantity);
    json_name(json, "unit");
    json_text(json, entry->base);
    json_name(json, "total");
    json_number(json, entry->total);
    json_close(json, '}');
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("export " VERSION) < 0;
    struct buffer input, output;
    buffer_start(&input);
    if (argc != 2 || buffer_read(&input, argv[1]) != 0) {
        fprintf(stderr, "usage: export FILE\n");
        return 2;
    }
    if (ledger_parse(&ledger, &input) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], ledger.error);
        return 1;
    }
    buffer_start(&output);
    struct json json = { &output, 0 };
    json_open(&json, '{');
    json_name(&json, "entries");
    json_open(&json, '[');
    for (size_t i = 0; i < ledger.count; i++)
        add_entry(&json, &ledger.entries[i]);
    json_close(&json, ']');
    json_name(&json, "total");
    json_number(&json, ledger.total);
    json_close(&json, '}');
    puts(output.text);
    return 0;
}
