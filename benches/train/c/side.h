// What both programs in C share: lines of numbers in, one line of JSON per turn out. See src/side.rs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

// Rows and tokens per row: the default of llm.c.
enum { ROWS = 4, TOKENS = 64, VOCABULARY = 50257, WIDTH = 768, LAYERS = 12, HEADS = 12, POSITIONS = 1024 };

static double seconds_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static unsigned long long random_bits(unsigned long long *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

// Makes one step per number of every line; `step` gives the loss, or a negative number if there is none.
static int serve(float (*step)(unsigned long long seed)) {
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        char losses[1 << 12] = "";
        double started = seconds_of(CLOCK_MONOTONIC), cpu_started = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
        char *rest = line, *end;
        for (;;) {
            unsigned long long seed = strtoull(rest, &end, 10);
            if (end == rest) break;
            rest = end;
            float loss = step(seed);
            size_t length = strlen(losses);
            if (loss >= 0) snprintf(losses + length, sizeof losses - length, "%s%.9g", length ? "," : "", loss);
        }
        double seconds = seconds_of(CLOCK_MONOTONIC) - started;
        double cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_started;
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"losses\":[%s],\"seconds\":%.9f,\"cpu_seconds\":%.9f,\"peak_bytes\":%ld}\n", losses, seconds, cpu_seconds,
               usage.ru_maxrss * 1024);
        fflush(stdout);
    }
    return 0;
}
