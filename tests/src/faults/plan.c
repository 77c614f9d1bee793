/* Preloaded before the C library, for tests: lets calls to the file system fail as a plan says, under one folder.
 *
 *   FAULTS_ROOT     the folder; nothing outside of it is touched, nor are RocksDB's own files of messages
 *   FAULTS_JOURNAL  an empty folder of the same file system
 *   FAULTS_REPORT   a file that is told what happened: "fault <kind> <call> <path> at <step>", "steps <n>" at the end
 *   FAULTS_PLAN     words, each name=value:
 *     fault     none, kill, cut, eio, enospc, short or flip
 *     at        the step at which it happens, counted from 1 over the calls that `on` and `match` choose
 *     on        the calls, separated by commas: create open write sync syncdir rename link unlink mkdir read; default:
 *               all but open and read, that is, whatever changes something
 *     match     a part of the path, or two with a star between them; default: any
 *     lasting   1: every such call from then on fails, too
 *     cut_after the power goes this many changes after the fault; 0, the default: it does not
 *     seed      whether just before or just behind the call, which sectors survive, which bit flips
 *   FAULTS_TRIGGER  nothing is counted before this file exists
 *
 * The power also goes when the file "power-cut" in the root is opened; when "room-made" is, nothing fails from then on. */
#define _GNU_SOURCE
#include "plan.h"

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHANGES = CREATE | WRITE | SYNC | SYNCDIR | RENAME | LINK | UNLINK | MKDIR };

static const char *const calls[] = {"create", "open", "write", "sync", "syncdir", "rename", "link", "unlink", "mkdir", "read"};
static const char *const faults[] = {"none", "kill", "cut", "eio", "enospc", "short", "flip"};

static char root[PATH_MAX], match[256];
static size_t root_length;
static const char *report, *trigger;
static enum fault { NONE, KILL, CUT, EIO_, ENOSPC_, SHORT, FLIP } fault;
static unsigned on = CHANGES;
static uint64_t at, steps, seed, cut_after, since;
static int lasting, happened, failing, over;

static unsigned named(const char *name, size_t length) {
    for (unsigned call = 0; call < sizeof calls / sizeof *calls; call++)
        if (strlen(calls[call]) == length && strncmp(calls[call], name, length) == 0) return 1u << call;
    return 0;
}

static void read_plan(char *words) {
    for (char *rest, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(word, "fault"))
            for (unsigned kind = 0; kind < sizeof faults / sizeof *faults; kind++) fault = strcmp(faults[kind], value) ? fault : (enum fault)kind;
        if (!strcmp(word, "at")) at = strtoull(value, NULL, 10);
        if (!strcmp(word, "seed")) seed = strtoull(value, NULL, 10);
        if (!strcmp(word, "lasting")) lasting = atoi(value);
        if (!strcmp(word, "cut_after")) cut_after = strtoull(value, NULL, 10);
        if (!strcmp(word, "match")) snprintf(match, sizeof match, "%s", value);
        if (!strcmp(word, "on")) {
            on = 0;
            for (char *more, *name = strtok_r(value, ",", &more); name; name = strtok_r(NULL, ",", &more)) on |= named(name, strlen(name));
        }
    }
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("FAULTS_ROOT"), *journal = getenv("FAULTS_JOURNAL"), *words = getenv("FAULTS_PLAN");
    if (!folder || !journal || !words) return;
    char *copy = strdup(words);
    report = getenv("FAULTS_REPORT");
    trigger = getenv("FAULTS_TRIGGER");
    read_plan(copy);
    free(copy);
    disk_init(journal);
    snprintf(root, sizeof root, "%s/", folder);
    root_length = strlen(root);
}

static void tell(const char *format, ...) {
    char line[PATH_MAX + 200];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    int fd = report ? (int)syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (fd < 0) return;
    syscall(SYS_write, fd, line, (size_t)length);
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void end(void) {
    if (root_length) tell("steps %llu\n", (unsigned long long)steps);
}

int plan_watches(const char *path) {
    if (!root_length || strncmp(path, root, root_length - 1) != 0) return 0;
    if (path[root_length - 1] == 0) return 1;
    if (path[root_length - 1] != '/') return 0;
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "LOG") != 0 && strncmp(name, "LOG.old", 7) != 0;
}

_Noreturn static void die(void) {
    for (;;) {
        syscall(SYS_kill, getpid(), SIGKILL);
        pause();
    }
}

void plan_end(void) {
    if (fault == KILL) die();
    disk_cut(seed);
}

/* The path inside the root; "" for the root. */
static const char *inside(const char *path) { return path[root_length - 1] ? path + root_length : ""; }

/* Whether the path has the parts that are looked for. */
static int matches(const char *path) {
    char *star = strchr(match, '*');
    if (!star) return strstr(path, match) != NULL;
    const char *found = memmem(path, strlen(path), match, (size_t)(star - match));
    return found && strstr(found + (star - match), star + 1) != NULL;
}

/* Counts a call, and says what is to become of it. The lock is held. */
enum verdict plan_step(enum call call, const char *path) {
    if (fault == NONE && at == 0) {
        steps += (on & call) != 0;
        return PASS;
    }
    if (trigger && access(trigger, F_OK) != 0) return PASS;
    if (happened && cut_after && (call & CHANGES) && ++since == cut_after) {
        tell("fault cut %s %s at %llu\n", "later", inside(path), (unsigned long long)steps);
        disk_cut(seed);
    }
    if (over) return PASS;
    int shortened = failing && call == WRITE;
    failing = failing && !shortened;
    if (!shortened && (!(on & call) || (*match && !matches(path + root_length - 1)))) return PASS;
    steps++;
    errno = fault == EIO_ ? EIO : ENOSPC;
    if (shortened || (happened && lasting)) return FAIL;
    if (happened || steps != at) return PASS;
    happened = 1;
    tell("fault %s %s %s at %llu\n", faults[fault], calls[__builtin_ctz(call)], inside(path), (unsigned long long)steps);
    switch (fault) {
    case KILL:
    case CUT:
        if (seed & 1) plan_end();
        return DIE_AFTER;
    case SHORT:
        failing = call == WRITE;
        return call == WRITE ? SHORTEN : FAIL;
    case FLIP:
        return call == READ ? SPOIL : PASS;
    default:
        return FAIL;
    }
}

int plan_is_armed(void) { return root_length != 0; }
int plan_spoils(void) { return root_length != 0 && fault == FLIP; }
uint64_t plan_seed(void) { return seed; }

void plan_obey(const char *path) {
    if (strcmp(inside(path), "room-made") == 0) over = 1;
    if (strcmp(inside(path), "power-cut") != 0) return;
    tell("fault cut asked power-cut at %llu\n", (unsigned long long)steps);
    disk_cut(seed);
}
