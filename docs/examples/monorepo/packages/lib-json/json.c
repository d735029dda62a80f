/* A writer of JSON. */
#include "json.h"

#include "text.h"

static void separate(struct json *json)
{
    if (json->wants_comma)
        buffer_add(json->out, ",", 1);
    json->wants_comma = 1;
}

void json_open(struct json *json, char bracket)
{
    separate(json);
    buffer_add(json->out, &bracket, 1);
    json->wants_comma = 0;
}

void json_close(struct json *json, char bracket)
{
    buffer_add(json->out, &bracket, 1);
    json->wants_comma = 1;
}

void json_name(struct json *json, const char *name)
{
    separate(json);
    text_add_json(json->out, name);
    buffer_add(json->out, ":", 1);
    json->wants_comma = 0;
}

void json_text(struct json *json, const char *text)
{
    separate(json);
    text_add_json(json->out, text);
}

void json_number(struct json *json, long long number)
{
    separate(json);
    buffer_print(json->out, "%lld", number);
}
