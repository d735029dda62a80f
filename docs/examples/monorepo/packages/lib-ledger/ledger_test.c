/* Tests of libledger. */
#undef NDEBUG
#include "ledger.h"

#include <assert.h>
#include <string.h>

static struct ledger ledger;

static int parse(const char *csv)
{
    struct buffer text;
    buffer_start(&text);
    buffer_print(&text, "%s", csv);
    int result = ledger_parse(&ledger, &text);
    buffer_free(&text);
    return result;
}

int main(void)
{
    assert(parse("# stock\nflour, 2, kg, 0.01\neggs, 3, dozen, 0.25\n") == 0);
    assert(ledger.count == 2 && ledger.entries[1].quantity == 36);
    assert(ledger.total == 2000 + 900);
    assert(parse("salt, 1, parsec, 1") == -1);
    assert(strcmp(ledger.error, "line 1: unknown unit `parsec`") == 0);
    assert(parse("\nsalt, many, g, 1") == -1);
    assert(strcmp(ledger.error, "line 2: bad quantity `many`") == 0);
    assert(parse("salt, 1, g") == -1 && parse("salt, 1, g, free") == -1);
    return 0;
}
