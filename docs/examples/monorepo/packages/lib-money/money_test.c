/* Tests of libmoney. */
#undef NDEBUG
#include "money.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    money amount;
    assert(money_parse("12", &amount) == 0 && amount == 1200);
    assert(money_parse("12.5", &amount) == 0 && amount == 1250);
    assert(money_parse("-3.20", &amount) == 0 && amount == -320);
    assert(money_parse("1.234", &amount) == -1);
    assert(money_parse("", &amount) == -1 && money_parse("x", &amount) == -1);
    struct buffer buffer;
    buffer_start(&buffer);
    money_add(&buffer, -5);
    money_add(&buffer, 123456);
    assert(strcmp(buffer.text, "-0.051234.56") == 0);
    buffer_free(&buffer);
    return 0;
}
