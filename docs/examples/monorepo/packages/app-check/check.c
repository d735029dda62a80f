/* check FILE: says whether a ledger can be read. */
#include "buffer.h"
#include "ledger.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

static struct ledger ledger;

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("check " VERSION) < 0;
    struct buffer input;
    buffer_start(&input);
    if (argc != 2 || buffer_read(&input, argv[1]) != 0) {
        fprintf(stderr, "usage: check FILE\n");
        return 2;
    }
    if (ledger_parse(&ledger, &input) != 0) {
        printf("%s: %s\n", argv[1], ledger.error);
        return 1;
    }
    printf("%s: %zu entries\n", argv[1], ledger.count);
    return 0;
}
