/* Keeps account of what is not synced: of every file the sectors that were written since its last sync, with what stood
 * there before, and of every folder the changes since its last sync. When the power goes, a subset of them that the seed
 * chooses is undone: sectors one by one, so that writes are torn; changes of a folder from the end on, as a file system
 * with a journal loses them.
 *
 * Only the bytes that a program sees are changed, so it needs no real disk and no rights. All functions are called with
 * the caller's lock held. */
#define _GNU_SOURCE
#include "disk.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512

enum state { CLEAN, DIRTY, LOST };

struct sector {
    uint8_t *before; /* NULL: nothing but zeros */
    uint8_t state;
};

struct note {
    enum change change;
    char *folder, *path, *from;
    int saved;
    int undo;
    struct note *earlier;
};

static struct file *files;
static struct note *notes;
static char journal_path[PATH_MAX];
static int saves;

void disk_init(const char *journal) {
    snprintf(journal_path, sizeof journal_path, "%s", journal);
}

static uint64_t next_random(uint64_t *state) {
    /* SplitMix64 (Steele, Lea and Flood 2014). */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static off_t size_of(int fd) {
    struct stat stat;
    return fstat(fd, &stat) == 0 ? stat.st_size : 0;
}

struct file *disk_file(const char *path) {
    struct stat stat_of;
    if (stat(path, &stat_of) != 0) return NULL;
    for (struct file *file = files; file; file = file->next)
        if (file->ino == stat_of.st_ino && file->dev == stat_of.st_dev) return file;
    int shadow = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (shadow < 0) return NULL;
    struct file *file = calloc(1, sizeof *file);
    file->dev = stat_of.st_dev;
    file->ino = stat_of.st_ino;
    file->shadow = shadow;
    file->synced = stat_of.st_size;
    snprintf(file->path, sizeof file->path, "%s", path);
    file->next = files;
    files = file;
    return file;
}

void disk_released(struct file *gone) {
    if (gone->users > 0) gone->users--;
    if (gone->users > 0 || gone->dirty > 0 || size_of(gone->shadow) != gone->synced) return;
    for (struct file **at = &files; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    syscall(SYS_close, gone->shadow);
    free(gone->sectors);
    free(gone);
}

static void keep(struct file *file, size_t number) {
    if (number >= file->room) {
        size_t room = number + 256;
        file->sectors = realloc(file->sectors, room * sizeof *file->sectors);
        memset(file->sectors + file->room, 0, (room - file->room) * sizeof *file->sectors);
        file->room = room;
    }
    struct sector *sector = &file->sectors[number];
    if (sector->state == CLEAN) {
        off_t at = (off_t)number * SECTOR;
        if (at < file->synced) {
            sector->before = calloc(1, SECTOR);
            if (syscall(SYS_pread64, file->shadow, sector->before, (size_t)SECTOR, at) < 0) abort();
        }
        file->dirty++;
    }
    sector->state = DIRTY;
}

void disk_before_write(struct file *file, off_t at, size_t length) {
    if (length == 0) return;
    for (size_t number = (size_t)at / SECTOR; number <= ((size_t)at + length - 1) / SECTOR; number++) keep(file, number);
}

void disk_before_truncate(struct file *file, off_t size) {
    off_t now = size_of(file->shadow);
    if (size < now) disk_before_write(file, size, (size_t)(now - size));
}

static void clear(struct file *file, struct sector *sector) {
    free(sector->before);
    sector->before = NULL;
    sector->state = CLEAN;
    file->dirty--;
}

void disk_synced(struct file *file) {
    for (size_t number = 0; number < file->room; number++)
        if (file->sectors[number].state == DIRTY) clear(file, &file->sectors[number]);
    file->synced = size_of(file->shadow);
}

void disk_sync_failed(struct file *file) {
    for (size_t number = 0; number < file->room; number++)
        if (file->sectors[number].state == DIRTY) file->sectors[number].state = LOST;
}

static void saved_path(char *out, int saved) {
    /* Truncated, linking fails and the program is ended below. */
    if (snprintf(out, PATH_MAX, "%.4000s/%d", journal_path, saved) < 0) abort();
}

int disk_save(const char *path) {
    char to[PATH_MAX];
    struct stat stat_of;
    if (lstat(path, &stat_of) != 0 || !S_ISREG(stat_of.st_mode)) return 0;
    saved_path(to, ++saves);
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, to, 0) != 0) abort();
    return saves;
}

void disk_unsave(int saved) {
    char path[PATH_MAX];
    if (saved == 0) return;
    saved_path(path, saved);
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static char *folder_of(const char *path) {
    char *folder = strdup(path), *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    return folder;
}

void disk_changed(enum change change, const char *path, const char *from, int saved) {
    if (change == RENAMED)
        for (struct file *file = files; file; file = file->next)
            if (strcmp(file->path, from) == 0) snprintf(file->path, sizeof file->path, "%s", path);
    struct note *note = calloc(1, sizeof *note);
    note->change = change;
    note->folder = folder_of(path);
    note->path = strdup(path);
    note->from = from ? strdup(from) : NULL;
    note->saved = saved;
    note->earlier = notes;
    notes = note;
}

void disk_folder_synced(const char *path) {
    for (struct note **at = &notes; *at;) {
        struct note *note = *at;
        if (strcmp(note->folder, path) != 0) {
            at = &note->earlier;
            continue;
        }
        disk_unsave(note->saved);
        *at = note->earlier;
        free(note->folder);
        free(note->path);
        free(note->from);
        free(note);
    }
}

/* A folder that is gone takes its changes with it; that it is gone is taken to be durable. */
void disk_folder_removed(const char *path) {
    disk_folder_synced(path);
}

static void restore(struct file *file, uint64_t *random) {
    off_t now = size_of(file->shadow), last = 0;
    if (file->dirty == 0 && now == file->synced) return;
    enum { NOTHING, EVERYTHING, PREFIX, SUBSET } mode = next_random(random) % 8;
    if (mode > SUBSET) mode = SUBSET;
    /* A file that got shorter is as it was, or as it is. */
    if (now < file->synced && mode != EVERYTHING) mode = NOTHING;
    size_t kept = file->dirty ? next_random(random) % (file->dirty + 1) : 0, seen = 0;
    for (size_t number = 0; number < file->room; number++) {
        struct sector *sector = &file->sectors[number];
        if (sector->state == CLEAN) continue;
        int stays = mode == EVERYTHING || (mode == PREFIX && seen < kept) || (mode == SUBSET && next_random(random) % 2);
        seen++;
        off_t at = (off_t)number * SECTOR;
        if (stays && sector->state == DIRTY) {
            last = at + SECTOR < now ? at + SECTOR : now;
            continue;
        }
        static const uint8_t zeros[SECTOR];
        syscall(SYS_pwrite64, file->shadow, sector->before ? sector->before : zeros, (size_t)SECTOR, at);
    }
    /* The size of a file that grew is known to the disk or not. */
    off_t size = now < file->synced ? (mode == EVERYTHING ? now : file->synced) : now;
    if (now > file->synced && next_random(random) % 2) size = last > file->synced ? last : file->synced;
    if (syscall(SYS_ftruncate, file->shadow, size) != 0) abort();
}

static void undo(struct note *note) {
    char saved[PATH_MAX], grave[PATH_MAX];
    switch (note->change) {
    case CREATED:
    case LINKED:
        syscall(SYS_unlinkat, AT_FDCWD, note->path, 0);
        break;
    case RENAMED:
        syscall(SYS_renameat2, AT_FDCWD, note->path, AT_FDCWD, note->from, 0);
        break;
    case REMOVED:
        break;
    case MADE_DIR:
        saved_path(grave, ++saves);
        syscall(SYS_renameat2, AT_FDCWD, note->path, AT_FDCWD, grave, 0);
        break;
    }
    if (note->saved) {
        saved_path(saved, note->saved);
        syscall(SYS_linkat, AT_FDCWD, saved, AT_FDCWD, note->path, 0);
    }
}

static void choose(const char *folder, uint64_t *random) {
    size_t pending = 0, seen = 0;
    for (struct note *note = notes; note; note = note->earlier) pending += strcmp(note->folder, folder) == 0;
    uint64_t mode = next_random(random) % 4;
    size_t undone = mode == 0 ? 0 : mode == 1 ? pending : next_random(random) % (pending + 1);
    for (struct note *note = notes; note; note = note->earlier)
        if (strcmp(note->folder, folder) == 0) note->undo = ++seen <= undone ? 1 : -1;
}

_Noreturn void disk_cut(uint64_t seed) {
    uint64_t random = seed;
    for (struct file *file = files; file; file = file->next) restore(file, &random);
    for (struct note *note = notes; note; note = note->earlier)
        if (note->undo == 0) choose(note->folder, &random);
    for (struct note *note = notes; note; note = note->earlier)
        if (note->undo > 0 && note->change != MADE_DIR) undo(note);
    for (struct note *note = notes; note; note = note->earlier)
        if (note->undo > 0 && note->change == MADE_DIR) undo(note);
    for (;;) {
        syscall(SYS_kill, getpid(), SIGKILL);
        pause();
    }
}
