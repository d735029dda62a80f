/* Tests of libtext. */
#undef NDEBUG
#include "text.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    char padded[] = "  a b \r\n";
    assert(strcmp(text_trim(padded), "a b") == 0);
    assert(text_width("h\xc3\xa9") == 2);
    struct buffer buffer;
    buffer_start(&buffer);
    text_add_html(&buffer, "<a & \"b\">");
    text_add_json(&buffer, "q\"\\\n");
    assert(strcmp(buffer.text, "&lt;a &amp; &quot;b&quot;&gt;\"q\\\"\\\\\\u000a\"") == 0);
    buffer_free(&buffer);
    return 0;
}
