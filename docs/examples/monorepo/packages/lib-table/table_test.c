/* Tests of libtable. */
#undef NDEBUG
#include "table.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    char *cells[] = { "a", "10.00", "h\xc3\xa9llo", "2.50" };
    struct buffer buffer;
    buffer_start(&buffer);
    table_add(&buffer, 2, 2, cells);
    assert(strcmp(buffer.text, "a      10.00\nh\xc3\xa9llo   2.50\n") == 0);
    buffer_free(&buffer);
    return 0;
}
