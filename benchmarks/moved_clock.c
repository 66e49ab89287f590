/* Moves the wall clock of a process by CLOCK_MOVED_BY seconds; loaded with LD_PRELOAD, see benchmarks/skew.py.
 *
 * The kernel is asked directly: looking up libc's own function may allocate, and allocators ask for the time.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t moved_by(void) {
    static int known = 0;
    static time_t seconds = 0;
    if (!known) {
        const char *given = getenv("CLOCK_MOVED_BY");
        seconds = given ? (time_t)atol(given) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += moved_by();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec moment;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &moment)) return -1;
    now->tv_sec = moment.tv_sec;
    now->tv_usec = moment.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *stored) {
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    if (stored) *stored = moment.tv_sec;
    return moment.tv_sec;
}
