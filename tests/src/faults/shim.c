/* The calls to the file system that a program makes, with what the plan says put in between, and everything that they change
 * kept account of. Preloaded before the C library. */
#define _GNU_SOURCE
#include "disk.h"
#include "plan.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char *path;
    struct file *file; /* if it is open for writing */
    int is_folder, appends, direct;
} fds[4096];

/* The whole path, without doubled slashes. */
static void whole(char *out, int folder, const char *path) {
    char base[PATH_MAX] = "", link[64];
    if (*path != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) base[0] = 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            base[length > 0 ? length : 0] = 0;
        }
    }
    size_t length = 0;
    for (const char *part = base; *part && length < PATH_MAX - 1; part++) out[length++] = *part;
    if (length) out[length++] = '/';
    for (; *path && length < PATH_MAX - 1; path++)
        if (*path != '/' || length == 0 || out[length - 1] != '/') out[length++] = *path;
    while (length > 1 && out[length - 1] == '/') length--;
    out[length] = 0;
}

static int close_fd(int fd) {
    if (fd >= 0 && fd < 4096 && fds[fd].path) {
        if (fds[fd].file) disk_released(fds[fd].file);
        free(fds[fd].path);
        memset(&fds[fd], 0, sizeof fds[fd]);
    }
    return 0;
}

static int do_open(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat stat_of;
    if (!plan_is_armed()) return (int)syscall(SYS_openat, folder, path, flags, mode);
    whole(full, folder, path);
    if (!plan_watches(full)) {
        int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
        pthread_mutex_lock(&lock);
        close_fd(fd);
        pthread_mutex_unlock(&lock);
        return fd;
    }
    pthread_mutex_lock(&lock);
    plan_obey(full);
    int exists = stat(full, &stat_of) == 0, writes = (flags & O_ACCMODE) != O_RDONLY, creates = (flags & O_CREAT) && !exists;
    int fd = -1;
    enum verdict verdict = creates || exists ? plan_step(creates ? CREATE : OPEN, full) : PASS;
    if (verdict != FAIL) {
        if (exists && writes && (flags & O_TRUNC)) {
            struct file *file = disk_file(full);
            if (file) disk_before_truncate(file, 0);
        }
        fd = (int)syscall(SYS_openat, folder, path, flags, mode);
        int error = errno;
        if (fd >= 0 && creates) disk_changed(CREATED, full, NULL, 0);
        if (verdict == DIE_AFTER) plan_end();
        if (fd >= 0 && fd < 4096) {
            close_fd(fd);
            fds[fd].path = strdup(full);
            fds[fd].is_folder = exists && S_ISDIR(stat_of.st_mode);
            fds[fd].appends = (flags & O_APPEND) != 0;
            fds[fd].direct = (flags & O_DIRECT) != 0;
            fds[fd].file = writes ? disk_file(full) : NULL;
            if (fds[fd].file) fds[fd].file->users++;
        }
        errno = error;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPENS(name, parameter, folder) \
    int name(parameter const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = (mode_t)va_arg(more, int); \
            va_end(more); \
        } \
        return do_open(folder, path, flags, mode); \
    }
#define NOTHING
#define FOLDER int folder,
OPENS(open, NOTHING, AT_FDCWD)
OPENS(open64, NOTHING, AT_FDCWD)
OPENS(openat, FOLDER, folder)
OPENS(openat64, FOLDER, folder)
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    if (plan_is_armed() && fd >= 0 && fd < 4096 && fds[fd].path) {
        pthread_mutex_lock(&lock);
        close_fd(fd);
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, fd);
}

static struct file *written(int fd) { return fd >= 0 && fd < 4096 ? fds[fd].file : NULL; }

static ssize_t do_write(int fd, const void *bytes, size_t length, off_t offset) {
    ssize_t done = -1;
    pthread_mutex_lock(&lock);
    struct file *file = written(fd);
    off_t place = offset >= 0 ? offset : fds[fd].appends ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    enum verdict verdict = plan_step(WRITE, file->path);
    if (verdict == SHORTEN) {
        length = length > 1 ? 1 + (size_t)(plan_seed() >> 8) % (length - 1) : length;
        if (fds[fd].direct) length &= ~(size_t)4095;
        if (length == 0) verdict = FAIL, errno = ENOSPC;
    }
    if (verdict != FAIL) {
        disk_before_write(file, place, length);
        done = offset >= 0 ? syscall(SYS_pwrite64, fd, bytes, length, offset) : syscall(SYS_write, fd, bytes, length);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return written(fd) ? do_write(fd, bytes, length, -1) : syscall(SYS_write, fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at_byte) {
    return written(fd) ? do_write(fd, bytes, length, at_byte) : syscall(SYS_pwrite64, fd, bytes, length, at_byte);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at_byte) { return pwrite(fd, bytes, length, at_byte); }

int ftruncate(int fd, off_t size) {
    if (!written(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    int done = -1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = plan_step(WRITE, written(fd)->path);
    if (verdict != FAIL) {
        disk_before_truncate(written(fd), size);
        done = (int)syscall(SYS_ftruncate, fd, size);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

static int do_sync(int fd, long number) {
    if (!plan_is_armed() || fd < 0 || fd >= 4096 || !fds[fd].path) return (int)syscall(number, fd);
    int done = -1;
    pthread_mutex_lock(&lock);
    struct file *file = fds[fd].file;
    enum verdict verdict = plan_step(fds[fd].is_folder ? SYNCDIR : SYNC, file ? file->path : fds[fd].path);
    if (verdict == FAIL) {
        int error = errno;
        if (file) disk_sync_failed(file);
        errno = error;
    } else {
        done = (int)syscall(number, fd);
        if (done == 0 && file) disk_synced(file);
        if (done == 0 && fds[fd].is_folder) disk_folder_synced(fds[fd].path);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    char a[PATH_MAX], b[PATH_MAX];
    whole(a, from_folder, from);
    whole(b, to_folder, to);
    if (!plan_watches(b)) return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    int done = -1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = plan_step(RENAME, b);
    if (verdict != FAIL) {
        int saved = disk_save(b);
        done = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
        if (done == 0) disk_changed(RENAMED, b, a, saved);
        else disk_unsave(saved);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char b[PATH_MAX];
    whole(b, to_folder, to);
    if (!plan_watches(b)) return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
    int done = -1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = plan_step(LINK, b);
    if (verdict != FAIL) {
        done = (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
        if (done == 0) disk_changed(LINKED, b, NULL, 0);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *path, int flags) {
    char full[PATH_MAX];
    whole(full, folder, path);
    if (!plan_watches(full)) return (int)syscall(SYS_unlinkat, folder, path, flags);
    int done = -1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = plan_step(UNLINK, full);
    if (verdict != FAIL) {
        int saved = flags & AT_REMOVEDIR ? 0 : disk_save(full);
        done = (int)syscall(SYS_unlinkat, folder, path, flags);
        int error = errno;
        if (done == 0 && flags & AT_REMOVEDIR) disk_folder_removed(full);
        else if (done == 0) disk_changed(REMOVED, full, NULL, saved);
        else disk_unsave(saved);
        errno = error;
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char full[PATH_MAX];
    struct stat stat_of;
    whole(full, folder, path);
    if (!plan_watches(full) || stat(full, &stat_of) == 0) return (int)syscall(SYS_mkdirat, folder, path, mode);
    int done = -1;
    pthread_mutex_lock(&lock);
    enum verdict verdict = plan_step(MKDIR, full);
    if (verdict != FAIL) {
        done = (int)syscall(SYS_mkdirat, folder, path, mode);
        if (done == 0) disk_changed(MADE_DIR, full, NULL, 0);
        if (verdict == DIE_AFTER) plan_end();
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Reads are only counted where they may be spoilt. */
static ssize_t look_at(int fd, void *bytes, ssize_t length) {
    if (length <= 0 || !plan_spoils() || fd < 0 || fd >= 4096 || !fds[fd].path || fds[fd].is_folder) return length;
    pthread_mutex_lock(&lock);
    if (plan_step(READ, fds[fd].path) == SPOIL) ((unsigned char *)bytes)[(plan_seed() >> 3) % (uint64_t)length] ^= (unsigned char)(1u << (plan_seed() & 7));
    pthread_mutex_unlock(&lock);
    return length;
}

ssize_t read(int fd, void *bytes, size_t length) { return look_at(fd, bytes, syscall(SYS_read, fd, bytes, length)); }
ssize_t pread(int fd, void *bytes, size_t length, off_t at_byte) {
    return look_at(fd, bytes, syscall(SYS_pread64, fd, bytes, length, at_byte));
}
ssize_t pread64(int fd, void *bytes, size_t length, off_t at_byte) { return pread(fd, bytes, length, at_byte); }

#undef fread_unlocked
size_t fread_unlocked(void *bytes, size_t size, size_t count, FILE *stream) {
    static size_t (*real)(void *, size_t, size_t, FILE *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fread_unlocked");
    size_t done = real(bytes, size, count, stream);
    look_at(fileno(stream), bytes, (ssize_t)(done * size));
    return done;
}
