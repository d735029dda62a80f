/* Tests of the request parser: prints what differs and exits 1. */
#include "http.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(const char *head, int status, const char *path)
{
    struct http_request request;
    int got = http_parse(head, strlen(head), &request);
    if (got != status || (got == 0 && strcmp(request.path, path) != 0)) {
        printf("%.40s: status %d, wanted %d\n", head, got, status);
        failures++;
    }
}

int main(void)
{
    expect("GET / HTTP/1.1\r\n\r\n", 0, "/");
    expect("HEAD /a%20b?x=1 HTTP/1.0\r\n\r\n", 0, "/a b");
    expect("GET /page#top HTTP/1.1\r\n\r\n", 0, "/page");
    expect("POST / HTTP/1.1\r\n\r\n", 405, NULL);
    expect("GET relative HTTP/1.1\r\n\r\n", 400, NULL);
    expect("GET /%zz HTTP/1.1\r\n\r\n", 400, NULL);
    expect("GET /%00 HTTP/1.1\r\n\r\n", 400, NULL);
    expect("GET /%4 HTTP/1.1\r\n\r\n", 400, NULL);
    expect("GET / SPDY/3\r\n\r\n", 400, NULL);
    expect("GET\r\n\r\n", 400, NULL);
    if (failures == 0)
        printf("request parser: all as expected\n");
    return failures != 0;
}
