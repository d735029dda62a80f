/* report FILE: prints a ledger as a table. report --version: prints the version. */
#include "buffer.h"
#include "ledger.h"
#include "table.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ledger ledger;

static char *text_of_money(money amount)
{
    struct buffer text;
    buffer_start(&text);
    money_add(&text, amount);
    return text.text;
}

static char *text_of_quantity(const struct entry *entry)
{
    struct buffer text;
    buffer_start(&text);
    buffer_print(&text, "%ld %s", entry->quantity, entry->base);
    return text.text;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("report " VERSION) < 0;
    struct buffer input, output;
    buffer_start(&input);
    if (argc != 2 || buffer_read(&input, argv[1]) != 0) {
        fprintf(stderr, "usage: report FILE\n");
        return 2;
    }
    if (ledger_parse(&ledger, &input) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], ledger.error);
        return 1;
    }
    char **cells = calloc((ledger.count + 1) * 3, sizeof *cells);
    if (cells == NULL)
        return 70;
    for (size_t i = 0; i < ledger.count; i++) {
        cells[i * 3] = ledger.entries[i].item;
        cells[i * 3 + 1] = text_of_quantity(&ledger.entries[i]);
        cells[i * 3 + 2] = text_of_money(ledger.entries[i].total);
    }
    cells[ledger.count * 3] = "total";
    cells[ledger.count * 3 + 1] = "";
    cells[ledger.count * 3 + 2] = text_of_money(ledger.total);
    buffer_start(&output);
    table_add(&output, 3, ledger.count + 1, cells);
    fputs(output.text, stdout);
    return 0;
}
