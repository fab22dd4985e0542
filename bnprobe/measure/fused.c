/* Moments of a float32 signal, and norms of many float32 tensors, in one read of their memory.
 *
 * Every figure of measure/moments.py (mean, variance, extremes, zeros; per sample and channel) is formed while a block of the
 * signal is in the first-level cache: reading the memory is what a recorder on a CPU pays for, and it is paid once. Lanes are written
 * out, or named in a pragma where a sum ends in one number, so that the compiler vectorises without being allowed to ignore NaN.
 *
 * Plain C without the Python API: one build serves every Python version, and moments.py has the same arithmetic in torch where there is none.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 32
#define BLOCK 2048 /* floats: 8 KiB, read once, or by short rows again from the first-level cache */
#define FIRST 16   /* positions whose mean is the shift */
#define STRETCH 16 /* positions summed in single precision; fewer where they lie far apart, to stay in the first-level cache */
#define TILE 32    /* channels whose accumulators stay in registers; as many as there are lanes */
#define SHORT 256  /* positions up to which rows are worked on together */
#define STRIP 1024 /* channels whose shifts stay in the first-level cache */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#define BY_CPU
#else
#define FOR_EVERY_CPU
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline)) /* compiled once for every kind of processor, as its caller is */
#else
#define INLINE static inline
#endif

#define GROUP 8 /* short rows whose sums are folded together */
#define SAMPLE (4 * WIDTH) /* values whose mean is the shift: some from each quarter of what is read */

#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define FOLDS
#endif
#endif

typedef float Eight __attribute__((vector_size(8 * sizeof(float))));
typedef float Four __attribute__((vector_size(4 * sizeof(float))));

/* Extremes and zeros of all that was read, lane by lane; folded once, at the end. */
typedef struct {
    float low[LANES], high[LANES];
    int32_t zeros[LANES];
    int64_t all_zeros;
} Scalars;

static void start(Scalars *scalars, float first) {
    for (int j = 0; j < LANES; j++) {
        scalars->low[j] = scalars->high[j] = first;
        scalars->zeros[j] = 0;
    }
    scalars->all_zeros = 0;
}

static void empty_zeros(Scalars *scalars) {
    for (int j = 0; j < LANES; j++) {
        scalars->all_zeros += scalars->zeros[j];
        scalars->zeros[j] = 0;
    }
}

static void finish(Scalars *scalars, double *low_high_zeros) {
    empty_zeros(scalars);
    float low = scalars->low[0], high = scalars->high[0];
    for (int j = 1; j < LANES; j++) {
        if (scalars->low[j] < low) low = scalars->low[j];
        if (scalars->high[j] > high) high = scalars->high[j];
    }
    low_high_zeros[0] = low;
    low_high_zeros[1] = high;
    low_high_zeros[2] = (double)scalars->all_zeros;
}

/* Takes in extremes and zeros of LANES values that lie together. */
INLINE void take_lanes(const float *restrict x, float *restrict low, float *restrict high, int32_t *restrict zeros) {
    for (int j = 0; j < LANES; j++) {
        float value = x[j];
        low[j] = value < low[j] ? value : low[j];
        high[j] = value > high[j] ? value : high[j];
        zeros[j] += value == 0.0f;
    }
}

INLINE void take_one(float value, Scalars *scalars) {
    if (value < scalars->low[0]) scalars->low[0] = value;
    if (value > scalars->high[0]) scalars->high[0] = value;
    scalars->zeros[0] += value == 0.0f;
}

/* Takes in extremes and zeros of values that lie together. */
INLINE void take_extremes(const float *restrict x, ptrdiff_t length, Scalars *restrict scalars) {
    float low[LANES], high[LANES];
    int32_t zeros[LANES];
    ptrdiff_t i;
    memcpy(low, scalars->low, sizeof low);
    memcpy(high, scalars->high, sizeof high);
    memcpy(zeros, scalars->zeros, sizeof zeros);
    for (i = 0; i + LANES <= length; i += LANES) {
        __builtin_prefetch(x + i + BLOCK);
        __builtin_prefetch(x + i + BLOCK + LANES / 2);
        take_lanes(x + i, low, high, zeros);
    }
    memcpy(scalars->low, low, sizeof low);
    memcpy(scalars->high, high, sizeof high);
    memcpy(scalars->zeros, zeros, sizeof zeros);
    for (; i < length; i++) take_one(x[i], scalars);
}

/* From the sum of deviations and of their squares to a mean and a sum of squares about it. */
INLINE void take_shift_out(float shift, float sum, float square, double inverse, double *mean, double *m2) {
    double spread = (double)square - (double)sum * (double)sum * inverse;
    *mean = (double)shift + (double)sum * inverse;
    *m2 = spread < 0.0 ? 0.0 : spread; /* not `spread > 0`: that would hide a NaN */
}

#ifdef BY_CPU
#define WIDTH 16
#define FOR_WIDTH __attribute__((target("avx512f")))
#define ROWS bnprobe_rows_of_16
#include "fused_rows.h"
#undef WIDTH
#undef FOR_WIDTH
#undef ROWS
#define WIDTH 8
#define FOR_WIDTH __attribute__((target_clones("avx2", "default")))
#define ROWS bnprobe_rows_of_8
#include "fused_rows.h"

void bnprobe_rows(const float *x, ptrdiff_t first, ptrdiff_t last, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
                  ptrdiff_t channel_stride, double *mean, double *m2, double *low_high_zeros) {
    (__builtin_cpu_supports("avx512f") ? bnprobe_rows_of_16 : bnprobe_rows_of_8)(x, first, last, channels, positions, sample_stride, channel_stride,
                                                                                 mean, m2, low_high_zeros);
}
#else
#define WIDTH 8 /* registers of four values: sums and squares of four vectors of 16 would take all 32 that some processors have */
#define FOR_WIDTH
#define ROWS bnprobe_rows
#include "fused_rows.h"
#endif

/* Some positions of some channels: adds the deviations from the shift, and their squares, to what is there. */
INLINE void add_tile(const float *restrict x, ptrdiff_t positions, ptrdiff_t ahead, ptrdiff_t position_stride, const int width, const float *restrict shift,
                     double *restrict sums, double *restrict squares, Scalars *restrict scalars) {
    float sum[TILE] = {0}, square[TILE] = {0}, low[TILE], high[TILE];
    int32_t zeros[TILE];
    for (int c = 0; c < width; c++) {
        low[c] = scalars->low[c];
        high[c] = scalars->high[c];
        zeros[c] = scalars->zeros[c];
    }
    for (ptrdiff_t p = 0; p < positions; p++) {
        __builtin_prefetch(x + p * position_stride + ahead); /* the next stretch arrives while this one is worked on */
        __builtin_prefetch(x + p * position_stride + ahead + TILE / 2);
        for (int c = 0; c < width; c++) {
            float value = x[p * position_stride + c], deviation = value - shift[c];
            sum[c] += deviation;
            square[c] += deviation * deviation;
            low[c] = value < low[c] ? value : low[c];
            high[c] = value > high[c] ? value : high[c];
            zeros[c] += value == 0.0f;
        }
    }
    for (int c = 0; c < width; c++) {
        sums[c] += sum[c];
        squares[c] += square[c];
        scalars->low[c] = low[c];
        scalars->high[c] = high[c];
        scalars->zeros[c] = zeros[c];
    }
}

/* Some channels of one sample: sums of deviations from the mean of the first positions, and of their squares. That shift is a mean of the
 * data, so its own square is at most `positions` / FIRST times the variance, and usually far below it. */
INLINE void strip_moments(const float *restrict x, ptrdiff_t positions, ptrdiff_t position_stride, ptrdiff_t channels,
                          double *restrict mean, double *restrict m2, Scalars *restrict scalars) {
    float shift[STRIP] = {0};
    ptrdiff_t first = positions < FIRST ? positions : FIRST;
    for (ptrdiff_t p = 0; p < first; p++)
        for (ptrdiff_t c = 0; c < channels; c++) shift[c] += x[p * position_stride + c];
    for (ptrdiff_t c = 0; c < channels; c++) {
        shift[c] /= (float)first;
        mean[c] = m2[c] = 0.0;
    }
    /* Memory is read from end to end: all channels of a few positions, then the next few. */
    ptrdiff_t most = position_stride <= 256 ? STRETCH : position_stride <= 512 ? STRETCH / 2 : STRETCH / 4, ahead = most * position_stride;
    for (ptrdiff_t begin = 0; begin < positions; begin += most) {
        ptrdiff_t length = begin + most < positions ? most : positions - begin, c = 0;
        const float *stretch = x + begin * position_stride;
        for (; c + TILE <= channels; c += TILE) /* a width that the compiler knows keeps the accumulators in registers */
            add_tile(stretch + c, length, ahead, position_stride, TILE, shift + c, mean + c, m2 + c, scalars);
        if (c < channels)
            add_tile(stretch + c, length, ahead, position_stride, (int)(channels - c), shift + c, mean + c, m2 + c, scalars);
    }
    double inverse = 1.0 / (double)positions;
    for (ptrdiff_t c = 0; c < channels; c++) {
        double offset = mean[c] * inverse, spread = m2[c] - mean[c] * offset;
        mean[c] = (double)shift[c] + offset;
        m2[c] = spread < 0.0 ? 0.0 : spread;
    }
}

/* Channels lie together: x[n, p, c] at n * sample_stride + p * position_stride + c. Writes mean and m2 at [n, c]. */
FOR_EVERY_CPU
void bnprobe_columns(const float *x, ptrdiff_t first, ptrdiff_t last, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
                     ptrdiff_t position_stride, double *mean, double *m2, double *low_high_zeros) {
    Scalars scalars;
    start(&scalars, x[first * sample_stride]);
    for (ptrdiff_t n = first; n < last; n++)
        for (ptrdiff_t c = 0; c < channels; c += STRIP) {
            strip_moments(x + n * sample_stride + c, positions, position_stride, channels - c < STRIP ? channels - c : STRIP,
                          mean + n * channels + c, m2 + n * channels + c, &scalars);
            empty_zeros(&scalars); /* before a 32-bit lane could overflow */
        }
    finish(&scalars, low_high_zeros);
}

/* From (N, C) tables to channel vectors laid end to end (mean, variance, between-sample variance) and to the last four of the summary:
 * common, between and whole variance averaged over channels, and the share of channels that are zero throughout. Returns whether all
 * is finite: a NaN or an infinity anywhere in the signal reaches a mean or a variance. */
FOR_EVERY_CPU
int bnprobe_reduce(ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t positions, const double *restrict mean, const double *restrict m2,
                   int between_only, double *restrict out) {
    double *means = out, *variance = out + channels, *between = out + 2 * channels, *summary = out + 3 * channels + 4;
    for (ptrdiff_t c = 0; c < 3 * channels; c++) out[c] = 0.0;
    for (ptrdiff_t n = 0; n < samples; n++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            means[c] += mean[n * channels + c];
            variance[c] += m2[n * channels + c];
        }
    for (ptrdiff_t c = 0; c < channels; c++) means[c] /= (double)samples;
    for (ptrdiff_t n = 0; n < samples; n++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            double deviation = mean[n * channels + c] - means[c];
            between[c] += deviation * deviation;
        }
    for (int i = 0; i < 4; i++) summary[i] = 0.0;
    double all = 0.0;
    for (ptrdiff_t c = 0; c < channels; c++) {
        between[c] /= (double)samples;
        variance[c] = variance[c] / ((double)samples * (double)positions) + between[c];
        if (between_only) between[c] = variance[c];
        summary[0] += means[c] * means[c];
        summary[1] += between[c];
        summary[2] += variance[c];
        summary[3] += means[c] == 0.0 && variance[c] == 0.0;
        all += means[c];
    }
    for (int i = 0; i < 4; i++) summary[i] /= (double)channels;
    all += summary[2];
    return all - all == 0.0;
}

/* How torch's own kernels are spread over threads: GOMP_parallel and omp_get_thread_num of the OpenMP runtime that it has loaded. Threads of
 * our own would have to share the processors with its threads, which spin for a while after every kernel. */
typedef struct {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned); /* NULL: the caller reads alone */
    int (*thread)(void);
    unsigned threads;
} Team;

#define MOST_PARTS 64

/* To be counted up with every change of what fused.py calls. */
int bnprobe_interface(void) { return 5; }

/* How a signal is read; see fused.py. */
typedef struct {
    ptrdiff_t columns, samples, channels, positions, sample_stride, inner_stride, between_only, parts;
} Plan;

typedef struct {
    const float *x;
    const Plan *plan;
    const Team *team;
    double *mean, *m2;
    double low_high_zeros[3 * MOST_PARTS];
    char taken[MOST_PARTS];
} Work;

static void work_off(void *shared) {
    Work *work = shared;
    const Plan *plan = work->plan;
    /* A thread begins with the part of the memory that it wrote itself in torch's kernels, which give each an equal stretch, and goes on with
     * what others have left: there may be fewer threads than were asked for. */
    ptrdiff_t parts = plan->parts, own = work->team->parallel ? parts * work->team->thread() / work->team->threads : 0;
    for (ptrdiff_t i = 0; i < parts; i++) {
        ptrdiff_t part = (own + i) % parts;
        if (__atomic_exchange_n(&work->taken[part], 1, __ATOMIC_RELAXED)) continue;
        (plan->columns ? bnprobe_columns : bnprobe_rows)(work->x, plan->samples * part / parts, plan->samples * (part + 1) / parts, plan->channels,
                                                         plan->positions, plan->sample_stride, plan->inner_stride, work->mean, work->m2,
                                                         work->low_high_zeros + 3 * part);
    }
}

/* The whole of it in one call; returns the largest magnitude, NaN where not all is finite. `table` holds 2 * samples * channels. */
double bnprobe_moments(const float *x, const Plan *plan, double *table, double *out, const Team *team) {
    ptrdiff_t samples = plan->samples, channels = plan->channels;
    double *summary = out + 3 * channels;
    Work work;
    work.x = x;
    work.plan = plan;
    work.team = team;
    memset(work.taken, 0, (size_t)plan->parts);
    work.mean = table;
    work.m2 = table + samples * channels;
    if (team->parallel && plan->parts > 1)
        team->parallel(work_off, &work, team->threads, 0);
    else
        work_off(&work);
    const double *scalars = work.low_high_zeros;
    memcpy(summary, scalars, 3 * sizeof(double));
    for (ptrdiff_t part = 1; part < plan->parts; part++) {
        scalars += 3;
        if (scalars[0] < summary[0]) summary[0] = scalars[0];
        if (scalars[1] > summary[1]) summary[1] = scalars[1];
        summary[2] += scalars[2];
    }
    summary[3] = 0.0;
    if (!bnprobe_reduce(samples, channels, plan->positions, work.mean, work.m2, (int)plan->between_only, out)) return __builtin_nan("");
    return -summary[0] > summary[1] ? -summary[0] : summary[1];
}

#define CHUNK 65536 /* values whose squares one thread adds up at a time */

/* Many tensors, what is subtracted from each, where each is copied to, and the sums of squares by chunk. Without a tensor there is no chunk;
 * what is subtracted and the copies may be NULL, all of them or single ones. */
typedef struct {
    const float *const *x, *const *minus;
    float *const *copies;
    const ptrdiff_t *length;
    ptrdiff_t chunks, next;
    double *sums;
} Norms;

FOR_EVERY_CPU
double bnprobe_squares(const float *restrict x, const float *restrict minus, ptrdiff_t length) {
    double sums[LANES] = {0}, sum = 0.0;
    ptrdiff_t i;
    for (i = 0; i + LANES <= length; i += LANES)
        for (int j = 0; j < LANES; j++) {
            double value = minus ? x[i + j] - minus[i + j] : x[i + j];
            sums[j] += value * value;
        }
    for (; i < length; i++) {
        double value = minus ? x[i] - minus[i] : x[i];
        sum += value * value;
    }
    for (int j = 0; j < LANES; j++) sum += sums[j];
    return sum;
}

static void add_chunks(void *shared) {
    Norms *norms = shared;
    ptrdiff_t chunk, first = 0, tensor = 0; /* the first chunk of this tensor; both only grow */
    while ((chunk = __atomic_fetch_add(&norms->next, 1, __ATOMIC_RELAXED)) < norms->chunks) {
        for (; chunk - first >= (norms->length[tensor] + CHUNK - 1) / CHUNK; tensor++) first += (norms->length[tensor] + CHUNK - 1) / CHUNK;
        ptrdiff_t begin = (chunk - first) * CHUNK, left = norms->length[tensor] - begin;
        const float *minus = norms->minus ? norms->minus[tensor] + begin : NULL;
        ptrdiff_t length = left < CHUNK ? left : CHUNK;
        norms->sums[chunk] = bnprobe_squares(norms->x[tensor] + begin, minus, length);
        if (norms->copies && norms->copies[tensor]) memcpy(norms->copies[tensor] + begin, norms->x[tensor] + begin, (size_t)length * sizeof(float));
    }
}

/* Sums of squares of `count` tensors, or of their differences; NaN where there is no tensor, whose length is 0. `sums` holds as many numbers
 * as there are chunks. */
void bnprobe_norms(const float *const *x, const float *const *minus, float *const *copies, const ptrdiff_t *length, ptrdiff_t count, double *sums,
                   double *out, const Team *team) {
    Norms norms = {x, minus, copies, length, 0, 0, sums};
    for (ptrdiff_t tensor = 0; tensor < count; tensor++) norms.chunks += (length[tensor] + CHUNK - 1) / CHUNK;
    if (team->parallel && norms.chunks > 1)
        team->parallel(add_chunks, &norms, team->threads, 0);
    else
        add_chunks(&norms);
    for (ptrdiff_t tensor = 0; tensor < count; tensor++) {
        out[tensor] = 0.0;
        for (ptrdiff_t chunk = (length[tensor] + CHUNK - 1) / CHUNK; chunk; chunk--) out[tensor] += *sums++;
    }
}

/* Counts the labels of each class, those left out that are `ignored`; returns how many classes there are, 0 where a label is none of 0 to
 * `most` - 1. `counts` holds as many numbers, and then those of the classes, in order; `frequent` is the most frequent one, the first of several. */
ptrdiff_t bnprobe_classes(const int64_t *labels, ptrdiff_t length, int64_t ignored, int64_t *counts, ptrdiff_t most, int64_t *frequent) {
    int64_t end = 0, largest = 0;
    ptrdiff_t classes = 0;
    for (ptrdiff_t i = 0; i < length; i++) {
        if (labels[i] == ignored) continue;
        if (labels[i] < 0 || labels[i] >= most) return 0;
        if (labels[i] >= end) end = labels[i] + 1;
    }
    memset(counts, 0, (size_t)end * sizeof *counts);
    for (ptrdiff_t i = 0; i < length; i++)
        if (labels[i] != ignored) counts[labels[i]]++;
    for (int64_t label = 0; label < end; label++) {
        if (!counts[label]) continue;
        if (counts[label] > largest) {
            largest = counts[label];
            *frequent = label;
        }
        counts[classes++] = counts[label];
    }
    return classes;
}

/* How far a batch norm's two modes are apart over a batch, squared; see batch_norm.py. `packed` are the moments of what it received. */
FOR_EVERY_CPU
double bnprobe_gap(const double *restrict packed, const float *restrict running_mean, const float *restrict running_variance, ptrdiff_t channels,
                   double eps) {
    double sum = 0.0;
    for (ptrdiff_t c = 0; c < channels; c++) {
        double inverse = 1.0 / __builtin_sqrt((double)running_variance[c] + eps), variance = packed[channels + c];
        double shift = (packed[c] - (double)running_mean[c]) * inverse, stretch = inverse - 1.0 / __builtin_sqrt(variance + eps);
        sum += shift * shift + variance * stretch * stretch;
    }
    return sum / (double)channels;
}
