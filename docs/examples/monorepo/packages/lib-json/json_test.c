/* Tests of libjson. */
#undef NDEBUG
#include "json.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    struct buffer buffer;
    buffer_start(&buffer);
    struct json json = { &buffer, 0 };
    json_open(&json, '{');
    json_name(&json, "a");
    json_open(&json, '[');
    json_number(&json, 1);
    json_text(&json, "two");
    json_close(&json, ']');
    json_name(&json, "b");
    json_number(&json, -2);
    json_close(&json, '}');
    assert(strcmp(buffer.text, "{\"a\":[1,\"two\"],\"b\":-2}") == 0);
    buffer_free(&buffer);
    return 0;
}
