/* Tests of libcsv. */
#undef NDEBUG
#include "csv.h"

#include <assert.h>
#include <string.h>

static int remember(void *context, int line, int count, char **fields)
{
    int *sum = context;
    *sum += line * 100 + count;
    return strcmp(fields[0], "stop") == 0 ? 7 : 0;
}

int main(void)
{
    char line[] = "a, b ,,d";
    char *fields[CSV_FIELDS_MAX];
    assert(csv_split(line, fields) == 4);
    assert(strcmp(fields[1], "b") == 0 && strcmp(fields[2], "") == 0);
    char many[] = ",,,,,,,,,,,,,,,,,,,,";
    assert(csv_split(many, fields) == -1);
    char text[] = "# head\n\na,b\nstop\nnever";
    int sum = 0;
    assert(csv_each(text, remember, &sum) == 7);
    assert(sum == 302 + 401);
    return 0;
}
