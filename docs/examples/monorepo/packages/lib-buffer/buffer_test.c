/* Tests of libbuffer. */
#undef NDEBUG
#include "buffer.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    struct buffer buffer;
    buffer_start(&buffer);
    assert(strcmp(buffer.text, "") == 0);
    for (int i = 0; i < 1000; i++)
        buffer_print(&buffer, "%03d,", i);
    assert(buffer.length == 4000);
    assert(strncmp(buffer.text + 3996, "999,", 4) == 0);
    assert(buffer_read(&buffer, "/nonexistent") == -1);
    buffer_free(&buffer);
    return 0;
}
