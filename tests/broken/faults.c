/* Preloaded into a test's process: the n-th system call that changes files below a folder fails, or the process
 * is killed there. Calls are counted across the processes that the armed one forks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define KILL (-1)
#define LOG (1 << 20)

static struct shared {
    int armed, at, fault, sticky, count, used;
    char root[4096], log[LOG];
} *state;

__attribute__((constructor)) static void begin(void) {
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Fail at call `at` (from 1; 0: never) with an errno, or be killed; `sticky`: at all from then on. */
void fault_arm(const char *root, int at, int fault, int sticky) {
    strncpy(state->root, root, sizeof state->root - 1);
    state->at = at, state->fault = fault, state->sticky = sticky;
    state->count = state->used = 0;
    state->log[0] = 0;
    state->armed = 1;
}

void fault_disarm(void) { state->armed = 0; }
const char *fault_log(void) { return state->log; }

static int below(const char *path) {
    char full[8192];
    if (!state || !state->armed || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(full, 4096)) return 0;
        strcat(full, "/");
        strncat(full, path, 4000);
        path = full;
    }
    return strncmp(path, state->root, strlen(state->root)) == 0;
}

static int below_fd(int fd) {
    char name[64], path[4096];
    if (!state || !state->armed) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return path[0] == '/' && below(path); /* no pipe */
}

/* Count a call; whether it is to fail, with errno set. */
static int fails(const char *call, const char *path) {
    int number = __sync_add_and_fetch(&state->count, 1);
    char line[4400], name[64], target[4096];
    if (!path) path = "";
    int fd;
    if (sscanf(path, "fd:%d", &fd) == 1) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        path = target;
    }
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    int start = __sync_fetch_and_add(&state->used, length);
    if (start + length < LOG) memcpy(state->log + start, line, length + 1);
    if (!state->at || number < state->at || (number > state->at && !state->sticky)) return 0;
    if (state->fault == KILL) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    /* Too many open files keep nobody from writing, and what is full can be emptied. */
    if (state->fault == EMFILE && strcmp(call, "open")) return 0;
    if (state->fault == ENOSPC && (!strncmp(call, "unlink", 6) || !strcmp(call, "rmdir"))) return 0;
    errno = state->fault;
    return 1;
}

static const char *of(int fd) {
    static __thread char name[32];
    snprintf(name, sizeof name, "fd:%d", fd);
    return name;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int opening(const char *path, int flags) {
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    return writes && below(path) && fails("open", path);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } \
        REAL(int, #name, const char *, int, ...); \
        return opening(path, flags) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); } \
        REAL(int, #name, int, const char *, int, ...); \
        return (at == AT_FDCWD || path[0] == '/') && opening(path, flags) ? -1 : real(at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) { \
        REAL(FILE *, #name, const char *, const char *); \
        return opening(path, mode[0] == 'r' && !strchr(mode, '+') ? O_RDONLY : O_RDWR) ? NULL : real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (below_fd(fd) && fails("write", of(fd))) {
        /* A disk that is full has taken a part. */
        if (size > 1) syscall(SYS_write, fd, data, size / 2);
        errno = state->fault;
        return -1;
    }
    return real(fd, data, size);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(ssize_t, #name, int, const void *, size_t, offset_type); \
        return below_fd(fd) && fails("pwrite", of(fd)) ? -1 : real(fd, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return below_fd(fd) && fails("writev", of(fd)) ? -1 : real(fd, parts, count);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    return below_fd(fileno(file)) && fails("fwrite", of(fileno(file))) ? 0 : real(data, size, count, file);
}

#define SENDFILE(name, offset_type) \
    ssize_t name(int out, int in, offset_type *offset, size_t size) { \
        REAL(ssize_t, #name, int, int, offset_type *, size_t); \
        return below_fd(out) && fails("sendfile", of(out)) ? -1 : real(out, in, offset, size); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

#define FD(name) \
    int name(int fd) { \
        REAL(int, #name, int); \
        return below_fd(fd) && fails(#name, of(fd)) ? -1 : real(fd); \
    }
FD(fsync)
FD(fdatasync)

#define TWO(name) \
    int name(const char *from, const char *to) { \
        REAL(int, #name, const char *, const char *); \
        return below(to) && fails(#name, to) ? -1 : real(from, to); \
    }
TWO(rename)
TWO(link)
TWO(symlink)


int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return below(to) && fails("rename", to) ? -1 : real(a, from, b, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    return below(to) && fails("renameat2", to) ? -1 : real(a, from, b, to, flags);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    return below(to) && fails("link", to) ? -1 : real(a, from, b, to, flags);
}

#define ONE(name) \
    int name(const char *path) { \
        REAL(int, #name, const char *); \
        return below(path) && fails(#name, path) ? -1 : real(path); \
    }
ONE(unlink)
ONE(rmdir)

int unlinkat(int at, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    if (state && state->armed && (at == AT_FDCWD ? below(path) : below_fd(at)) && fails("unlinkat", path)) return -1;
    return real(at, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return below(path) && fails("mkdir", path) ? -1 : real(path, mode);
}

int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    return below_fd(fd) && fails("ftruncate", of(fd)) ? -1 : real(fd, size);
}
