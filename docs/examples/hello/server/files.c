/* Finds a file by the path of a request and sends it. */
#define _GNU_SOURCE
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *type_of(const char *name)
{
    static const struct { const char *ending, *type; } types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".svg", "image/svg+xml" },
    };
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t ending = strlen(types[i].ending);
        if (length > ending && strcmp(name + length - ending, types[i].ending) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* Opens `path` (relative) one part at a time, so that nothing on the way is a link. Returns a descriptor, or -1. */
static int open_below(int root, const char *path)
{
    char part[HTTP_PATH_MAX];
    int directory = dup(root);
    while (directory >= 0) {
        size_t length = strcspn(path, "/");
        memcpy(part, path, length);
        part[length] = '\0';
        int last = path[length] == '\0';
        int next = -1;
        if (length > 0 && strcmp(part, "..") != 0)
            next = openat(directory, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
        close(directory);
        if (last)
            return next;
        directory = next;
        path += length + 1;
    }
    return -1;
}

static int send_file(int file, size_t size, int connection)
{
    char buffer[16384];
    while (size > 0) {
        ssize_t got = read(file, buffer, sizeof buffer);
        if (got <= 0 || http_send(connection, buffer, (size_t)got) != 0)
            return -1;
        size -= (size_t)got < size ? (size_t)got : size;
    }
    return 0;
}

int files_answer(int root, int connection, const struct http_request *request)
{
    char name[HTTP_PATH_MAX + sizeof "index.html"];
    const char *path = request->path + 1;
    size_t length = strlen(path);
    snprintf(name, sizeof name, "%s%s", path, length == 0 || path[length - 1] == '/' ? "index.html" : "");
    int file = open_below(root, name);
    struct stat stat;
    if (file < 0 || fstat(file, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        if (file >= 0)
            close(file);
        http_send_text(connection, request, 404, "not found\n");
        return 404;
    }
    if (http_send_head(connection, 200, type_of(name), (size_t)stat.st_size) == 0 && request->method == HTTP_GET)
        send_file(file, (size_t)stat.st_size, connection);
    close(file);
    return 200;
}
