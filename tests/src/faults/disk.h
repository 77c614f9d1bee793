/* What a disk that loses its power would have kept. See disk.c. */
#ifndef DISK_H
#define DISK_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

struct file {
    dev_t dev;
    ino_t ino;
    int users;             /* descriptors that are open for writing */
    int shadow;            /* a descriptor of our own, to read and to restore */
    off_t synced;          /* its size when it was last synced */
    struct sector *sectors;
    size_t room, dirty;
    char path[PATH_MAX];
    struct file *next;
};

enum change { CREATED, RENAMED, LINKED, REMOVED, MADE_DIR };

/* `journal`: a folder of the same file system, for what must be kept meanwhile. */
void disk_init(const char *journal);
/* The file at this path, from now on watched. */
struct file *disk_file(const char *path);
void disk_released(struct file *file);
/* To be called before the bytes change; a truncation to `size` first. */
void disk_before_write(struct file *file, off_t at, size_t length);
void disk_before_truncate(struct file *file, off_t size);
void disk_synced(struct file *file);
/* The kernel forgets what could not be written: a later sync succeeds without it. */
void disk_sync_failed(struct file *file);
/* Keeps what stands under a name that is about to go. Returns 0 if nothing does. */
int disk_save(const char *path);
void disk_unsave(int saved);
/* To be called after a folder has changed. */
void disk_changed(enum change change, const char *path, const char *from, int saved);
void disk_folder_removed(const char *path);
void disk_folder_synced(const char *path);
/* Throws away what was not synced, as the seed says, and ends the process. */
_Noreturn void disk_cut(uint64_t seed);

#endif
