/* What happens to which call. See plan.c. */
#ifndef PLAN_H
#define PLAN_H

#include <stdint.h>

enum call { CREATE = 1, OPEN = 2, WRITE = 4, SYNC = 8, SYNCDIR = 16, RENAME = 32, LINK = 64, UNLINK = 128, MKDIR = 256, READ = 512 };
/* What is to become of a call. */
enum verdict { PASS, FAIL, SHORTEN, DIE_AFTER, SPOIL };

int plan_is_armed(void);
int plan_spoils(void);
uint64_t plan_seed(void);
int plan_watches(const char *path);
/* Counts a call, and says what is to become of it; errno is set for those that fail. The caller holds its lock. */
enum verdict plan_step(enum call call, const char *path);
/* The process ends here, as the plan says. */
void plan_end(void);
/* The power goes, or the fault is over, if this is the path that stands for it. */
void plan_obey(const char *path);

#endif
