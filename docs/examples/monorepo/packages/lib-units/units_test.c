/* Tests of libunits. */
#undef NDEBUG
#include "units.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

int main(void)
{
    assert(units_find("kg")->factor == 1000);
    assert(strcmp(units_find("dozen")->base, "piece") == 0);
    assert(units_find("parsec") == NULL);
    return 0;
}
