/* server ROOT PORT PIDFILE: serves the files below ROOT on 127.0.0.1:PORT, in the background.
   Returns only once the port is open, so whoever starts it need not wait or ask again. */
#define _GNU_SOURCE
#include "files.h"
#include "http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return -1;
}

static int listen_on(int port)
{
    int one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return fail("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
        return fail("cannot open the port");
    return listener;
}

static void answer(int root, int connection)
{
    char head[8192];
    struct http_request request = { .method = HTTP_GET };
    struct timeval patience = { .tv_sec = 5 };
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    long length = http_read_head(connection, head, sizeof head);
    if (length < 0)
        return;
    int status = http_parse(head, (size_t)length, &request);
    if (status != 0)
        http_send_text(connection, &request, status, "bad request\n");
    else if (strcmp(request.path, "/up") == 0)
        http_send_text(connection, &request, 200, "ok");
    else
        files_answer(root, connection, &request);
}

/* One process per connection: a slow reader keeps nobody waiting. */
static void serve(int root, int listener)
{
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            close(listener);
            answer(root, connection);
            shutdown(connection, SHUT_RDWR);
            _exit(0);
        }
        close(connection);
    }
}

/* Keeps only the two descriptors we use: pipes and locks of whoever started us are let go. */
static int let_go(int root, int listener)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return fail("/dev/null");
    for (int descriptor = 0; descriptor < 3; descriptor++)
        dup2(null, descriptor);
    for (int descriptor = 3; descriptor < 1024; descriptor++)
        if (descriptor != root && descriptor != listener)
            close(descriptor);
    return 0;
}

static int write_pid(const char *path, pid_t pid)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return fail(path);
    fprintf(file, "%ld\n", (long)pid);
    return fclose(file) == 0 ? 0 : fail(path);
}

int main(int argc, char **argv)
{
    int port = argc == 4 ? atoi(argv[2]) : 0;
    if (port < 1 || port > 65535) {
        fprintf(stderr, "usage: server ROOT PORT PIDFILE\n");
        return 2;
    }
    int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail(argv[1]), 1;
    int listener = listen_on(port);
    if (listener < 0)
        return 1;
    signal(SIGCHLD, SIG_IGN);
    pid_t child = fork();
    if (child < 0)
        return fail("fork"), 1;
    if (child > 0) {
        if (write_pid(argv[3], child) == 0)
            return 0;
        kill(child, SIGTERM);
        return 1;
    }
    setsid();
    if (let_go(root, listener) != 0)
        return 1;
    serve(root, listener);
}
