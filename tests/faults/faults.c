/* Fails file operations on purpose, in any program: loaded before libc by LD_PRELOAD.
 *
 * FAULTS_CONTROL names a file that holds a `struct control`, shared by a test, the program and all
 * the processes that the program starts. Only operations on files below `folder` count. The one of
 * number `at` fails with `error`, or kills its process group where `error` is 0. A write that fails
 * has written half of its bytes by then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH 1024
#define LOGGED 16384

/* tests/faults/shim.py has the same layout. */
struct control {
    atomic_long count; /* operations so far, in all processes */
    long at;           /* from 1; 0: none fails */
    int error;         /* an errno; 0: SIGKILL to the process group */
    int lasting;       /* every operation from `at` on fails */
    char folder[PATH];
    char log[LOGGED][PATH]; /* "operation path" of each */
};

static struct control *control;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) control = memory;
    close(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether this operation on the file at the absolute `path` is one that fails. */
static bool struck(const char *operation, const char *path) {
    size_t length = control ? strlen(control->folder) : 0;
    if (!length || strncmp(path, control->folder, length) || path[length] != '/') return false;
    long number = atomic_fetch_add(&control->count, 1) + 1;
    if (number <= LOGGED)
        snprintf(control->log[number - 1], PATH, "%s %s", operation, path + length + 1);
    long at = control->at;
    return at && (number == at || (number > at && control->lasting));
}

static int fail(void) {
    if (!control->error) kill(0, SIGKILL);
    errno = control->error;
    return -1;
}

static bool file_struck(const char *operation, int file) {
    char link[64], path[PATH];
    if (!control) return false;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return false;
    path[length] = 0;
    return struck(operation, path);
}

static bool path_struck(const char *operation, int folder, const char *name) {
    char link[64] = "/proc/self/cwd", path[2 * PATH];
    if (!control) return false;
    if (name[0] == '/') return struck(operation, name);
    int before = errno;
    if (folder != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, path, PATH - 1);
    errno = before;
    if (length < 0) return false;
    snprintf(path + length, sizeof path - length, "/%s", name);
    return struck(operation, path);
}

/* Writes */

ssize_t write(int file, const void *data, size_t size) {
    if (!file_struck("write", file)) return REAL(write)(file, data, size);
    REAL(write)(file, data, size / 2);
    return fail();
}

#define PWRITE(name, offset_type)                                                    \
    ssize_t name(int file, const void *data, size_t size, offset_type offset) {      \
        if (!file_struck("write", file)) return REAL(name)(file, data, size, offset); \
        REAL(name)(file, data, size / 2, offset);                                    \
        return fail();                                                               \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (!file_struck("write", file)) return REAL(writev)(file, parts, count);
    if (count) REAL(write)(file, parts[0].iov_base, parts[0].iov_len / 2);
    return fail();
}

#define SENDFILE(name, offset_type)                                                 \
    ssize_t name(int to, int from, offset_type *offset, size_t size) {              \
        return file_struck("copy", to) ? fail() : REAL(name)(to, from, offset, size); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *end, size_t size,
                        unsigned flags) {
    if (file_struck("copy", to)) return fail();
    return REAL(copy_file_range)(from, start, to, end, size, flags);
}

int ftruncate(int file, off_t size) {
    return file_struck("truncate", file) ? fail() : REAL(ftruncate)(file, size);
}
int ftruncate64(int file, off64_t size) {
    return file_struck("truncate", file) ? fail() : REAL(ftruncate64)(file, size);
}

int fsync(int file) { return file_struck("fsync", file) ? fail() : REAL(fsync)(file); }
int fdatasync(int file) { return file_struck("fsync", file) ? fail() : REAL(fdatasync)(file); }

/* Opening for writing */

static bool open_struck(int folder, const char *path, int flags) {
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    return writes && path_struck("open", folder, path);
}

static mode_t mode_of(int flags, va_list rest) {
    bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return creates ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...) {                                         \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = mode_of(flags, rest);                                              \
        va_end(rest);                                                                    \
        return open_struck(AT_FDCWD, path, flags) ? fail() : REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                         \
    int name(int folder, const char *path, int flags, ...) {                                 \
        va_list rest;                                                                        \
        va_start(rest, flags);                                                               \
        mode_t mode = mode_of(flags, rest);                                                  \
        va_end(rest);                                                                        \
        if (open_struck(folder, path, flags)) return fail();                                 \
        return REAL(name)(folder, path, flags, mode);                                        \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                              \
    FILE *name(const char *path, const char *mode) {                             \
        bool writes = strpbrk(mode, "wa+") && path_struck("open", AT_FDCWD, path); \
        return writes ? (fail(), NULL) : REAL(name)(path, mode);                 \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* Names */

int rename(const char *old, const char *new) {
    return path_struck("rename", AT_FDCWD, new) ? fail() : REAL(rename)(old, new);
}
int renameat(int from, const char *old, int to, const char *new) {
    return path_struck("rename", to, new) ? fail() : REAL(renameat)(from, old, to, new);
}
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    return path_struck("rename", to, new) ? fail() : REAL(renameat2)(from, old, to, new, flags);
}
int link(const char *old, const char *new) {
    return path_struck("link", AT_FDCWD, new) ? fail() : REAL(link)(old, new);
}
int linkat(int from, const char *old, int to, const char *new, int flags) {
    return path_struck("link", to, new) ? fail() : REAL(linkat)(from, old, to, new, flags);
}
int unlink(const char *path) {
    return path_struck("unlink", AT_FDCWD, path) ? fail() : REAL(unlink)(path);
}
int unlinkat(int folder, const char *path, int flags) {
    return path_struck("unlink", folder, path) ? fail() : REAL(unlinkat)(folder, path, flags);
}
int rmdir(const char *path) {
    return path_struck("unlink", AT_FDCWD, path) ? fail() : REAL(rmdir)(path);
}
int mkdir(const char *path, mode_t mode) {
    return path_struck("mkdir", AT_FDCWD, path) ? fail() : REAL(mkdir)(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
    return path_struck("mkdir", folder, path) ? fail() : REAL(mkdirat)(folder, path, mode);
}
