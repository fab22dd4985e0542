/* Moments of a float32 signal in one read of its memory.
 *
 * Every figure of measure/moments.py (mean, two-pass variance, extremes, zeros; per sample and channel) is formed while a block of the
 * signal is in the first-level cache: reading the memory is what a recorder on a CPU pays for, and it is paid once. Lanes are written
 * out, so that the compiler vectorises without being allowed to reorder arithmetic or to ignore NaN.
 *
 * Plain C without the Python API: one build serves every Python version, and moments.py has the same arithmetic in torch where there is none.
 */

#include <stddef.h>
#include <stdint.h>

#define LANES 32
#define BLOCK 2048 /* floats: 8 KiB, read twice from the first-level cache */
#define FIRST 16   /* positions whose mean is the shift */
#define TILE 256   /* channels whose accumulators stay in the first-level cache */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif

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

static void fold_one(Scalars *scalars, int lane, float low, float high, int32_t zeros) {
    if (low < scalars->low[lane]) scalars->low[lane] = low;
    if (high > scalars->high[lane]) scalars->high[lane] = high;
    scalars->zeros[lane] += zeros;
}

static void finish(Scalars *scalars, double *low_high_zeros) {
    empty_zeros(scalars);
    for (int j = 1; j < LANES; j++) fold_one(scalars, 0, scalars->low[j], scalars->high[j], 0);
    low_high_zeros[0] = scalars->low[0];
    low_high_zeros[1] = scalars->high[0];
    low_high_zeros[2] = (double)scalars->all_zeros;
}

/* One block of a row: its mean and its sum of squared deviations from that mean. */
FOR_EVERY_CPU
static void block_moments(const float *restrict x, ptrdiff_t length, double *mean, double *m2, Scalars *restrict scalars) {
    float sum[LANES] = {0}, low[LANES], high[LANES];
    int32_t zeros[LANES];
    ptrdiff_t whole = length - length % LANES, i;
    for (int j = 0; j < LANES; j++) {
        low[j] = scalars->low[j];
        high[j] = scalars->high[j];
        zeros[j] = scalars->zeros[j];
    }
    for (i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float value = x[i + j];
            sum[j] += value;
            low[j] = value < low[j] ? value : low[j];
            high[j] = value > high[j] ? value : high[j];
            zeros[j] += value == 0.0f;
        }
    for (int j = 0; j < LANES; j++) {
        scalars->low[j] = low[j];
        scalars->high[j] = high[j];
        scalars->zeros[j] = zeros[j];
    }
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) sum[j] += sum[j + width];
    double total = sum[0];
    for (; i < length; i++) {
        total += x[i];
        fold_one(scalars, 0, x[i], x[i], x[i] == 0.0f);
    }
    /* The corrected two-pass algorithm: deviations from an approximate mean give the mean itself and the spread about it. */
    float centre = (float)(total / (double)length), deviations[LANES] = {0}, squares[LANES] = {0};
    for (i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float deviation = x[i + j] - centre;
            deviations[j] += deviation;
            squares[j] += deviation * deviation;
        }
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) {
            deviations[j] += deviations[j + width];
            squares[j] += squares[j + width];
        }
    double offset = deviations[0], spread = squares[0];
    for (; i < length; i++) {
        double deviation = (double)x[i] - (double)centre;
        offset += deviation;
        spread += deviation * deviation;
    }
    spread -= offset * offset / (double)length;
    *mean = (double)centre + offset / (double)length;
    *m2 = spread < 0.0 ? 0.0 : spread; /* not `spread > 0`: that would hide a NaN */
}

/* Positions lie together: x[n, c, p] at n * sample_stride + c * channel_stride + p. Writes mean and m2 at [n, c]. */
void bnprobe_rows(const float *x, ptrdiff_t first, ptrdiff_t last, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
                  ptrdiff_t channel_stride, double *mean, double *m2, double *low_high_zeros) {
    Scalars scalars;
    start(&scalars, x[first * sample_stride]);
    for (ptrdiff_t n = first; n < last; n++) {
        for (ptrdiff_t c = 0; c < channels; c++) {
            const float *row = x + n * sample_stride + c * channel_stride;
            double row_mean = 0.0, row_m2 = 0.0;
            for (ptrdiff_t begin = 0; begin < positions; begin += BLOCK) {
                ptrdiff_t length = positions - begin < BLOCK ? positions - begin : BLOCK;
                double mean_here, m2_here;
                block_moments(row + begin, length, &mean_here, &m2_here, &scalars);
                /* Chan, Golub, LeVeque 1979 */
                double delta = mean_here - row_mean, weight = (double)length / (double)(begin + length);
                row_mean += delta * weight;
                row_m2 += m2_here + delta * delta * weight * (double)begin;
            }
            mean[n * channels + c] = row_mean;
            m2[n * channels + c] = row_m2;
        }
        empty_zeros(&scalars); /* before a 32-bit lane could overflow */
    }
    finish(&scalars, low_high_zeros);
}

/* Some channels of one sample: sums of deviations from the mean of the first positions, and of their squares. That shift is a mean of the
 * data, so its own square is at most `positions` / FIRST times the variance, and usually far below it. */
FOR_EVERY_CPU
static void tile_moments(const float *restrict x, ptrdiff_t positions, ptrdiff_t position_stride, ptrdiff_t width, double *restrict mean,
                         double *restrict m2, Scalars *restrict scalars) {
    float shift[TILE] = {0}, sum[TILE], squares[TILE], low[TILE], high[TILE];
    int32_t zeros[TILE] = {0};
    double sums[TILE] = {0}, all_squares[TILE] = {0};
    ptrdiff_t first = positions < FIRST ? positions : FIRST;
    for (ptrdiff_t p = 0; p < first; p++)
        for (ptrdiff_t c = 0; c < width; c++) shift[c] += x[p * position_stride + c];
    for (ptrdiff_t c = 0; c < width; c++) {
        shift[c] /= (float)first;
        low[c] = high[c] = x[c];
    }
    for (ptrdiff_t begin = 0; begin < positions; begin += 64) {
        ptrdiff_t end = begin + 64 < positions ? begin + 64 : positions;
        for (ptrdiff_t c = 0; c < width; c++) sum[c] = squares[c] = 0.0f;
        for (ptrdiff_t p = begin; p < end; p++) {
            const float *row = x + p * position_stride;
            for (ptrdiff_t c = 0; c < width; c++) {
                float value = row[c], deviation = value - shift[c];
                sum[c] += deviation;
                squares[c] += deviation * deviation;
                low[c] = value < low[c] ? value : low[c];
                high[c] = value > high[c] ? value : high[c];
                zeros[c] += value == 0.0f;
            }
        }
        for (ptrdiff_t c = 0; c < width; c++) {
            sums[c] += sum[c];
            all_squares[c] += squares[c];
        }
    }
    for (ptrdiff_t c = 0; c < width; c++) {
        double offset = sums[c] / (double)positions, spread = all_squares[c] - sums[c] * offset;
        mean[c] = (double)shift[c] + offset;
        m2[c] = spread < 0.0 ? 0.0 : spread;
        fold_one(scalars, (int)(c % LANES), low[c], high[c], zeros[c]);
    }
}

/* Channels lie together: x[n, p, c] at n * sample_stride + p * position_stride + c. Writes mean and m2 at [n, c]. */
void bnprobe_columns(const float *x, ptrdiff_t first, ptrdiff_t last, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
                     ptrdiff_t position_stride, double *mean, double *m2, double *low_high_zeros) {
    Scalars scalars;
    start(&scalars, x[first * sample_stride]);
    for (ptrdiff_t n = first; n < last; n++)
        for (ptrdiff_t c = 0; c < channels; c += TILE) {
            tile_moments(x + n * sample_stride + c, positions, position_stride, channels - c < TILE ? channels - c : TILE,
                         mean + n * channels + c, m2 + n * channels + c, &scalars);
            empty_zeros(&scalars);
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

/* The whole of it in one call, for a signal that one thread reads. `table` holds 2 * samples * channels. */
int bnprobe_moments(const float *x, int columns, ptrdiff_t samples, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
                    ptrdiff_t inner_stride, int between_only, double *table, double *out) {
    double *mean = table, *m2 = table + samples * channels;
    (columns ? bnprobe_columns : bnprobe_rows)(x, 0, samples, channels, positions, sample_stride, inner_stride, mean, m2, out + 3 * channels);
    out[3 * channels + 3] = 0.0;
    return bnprobe_reduce(samples, channels, positions, mean, m2, between_only, out);
}
