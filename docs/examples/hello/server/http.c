/* Reads and answers requests; knows nothing of files. */
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes %XX up to a query, a fragment or the end. Returns 0, or a status. */
static int decode_path(const char *from, size_t length, char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < length && from[i] != '?' && from[i] != '#'; i++) {
        char c = from[i];
        if (c == '%') {
            if (length - i < 3)
                return 400;
            int high = hex_value(from[i + 1]), low = hex_value(from[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return 400;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (used + 1 >= HTTP_PATH_MAX)
            return 414;
        to[used++] = c;
    }
    to[used] = '\0';
    return used > 0 && to[0] == '/' ? 0 : 400;
}

int http_parse(const char *head, size_t length, struct http_request *request)
{
    const char *end = memchr(head, '\r', length);
    if (end == NULL || memchr(head, '\0', length) != NULL)
        return 400;
    const char *space = memchr(head, ' ', (size_t)(end - head));
    if (space == NULL)
        return 400;
    const char *target = space + 1;
    const char *version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || end - version < 8 || memcmp(version, " HTTP/1.", 8) != 0)
        return 400;
    size_t word = (size_t)(space - head);
    if (word == 3 && memcmp(head, "GET", 3) == 0)
        request->method = HTTP_GET;
    else if (word == 4 && memcmp(head, "HEAD", 4) == 0)
        request->method = HTTP_HEAD;
    else
        return 405;
    return decode_path(target, (size_t)(version - target), request->path);
}

long http_read_head(int connection, char *buffer, size_t size)
{
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t got = recv(connection, buffer + used, size - used - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        used += (size_t)got;
        buffer[used] = '\0';
        const char *end = strstr(buffer, "\r\n\r\n");
        if (end != NULL)
            return (long)(end - buffer) + 4;
    }
    return -1;
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 414: return "URI Too Long";
    case 500: return "Internal Server Error";
    default: return "Bad Request";
    }
}

int http_send(int connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

int http_send_head(int connection, int status, const char *type, size_t length)
{
    char head[256];
    int used = snprintf(head, sizeof head,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
        status, reason(status), type, length);
    return http_send(connection, head, (size_t)used);
}

int http_send_text(int connection, const struct http_request *request, int status, const char *text)
{
    size_t length = strlen(text);
    if (http_send_head(connection, status, "text/plain; charset=utf-8", length) != 0)
        return -1;
    return request->method == HTTP_HEAD ? 0 : http_send(connection, text, length);
}
