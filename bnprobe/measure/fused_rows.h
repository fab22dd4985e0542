/* Rows of values that lie together, for vectors of WIDTH values. fused.c includes this once for each width that it needs: a compiler that is
 * given vectors longer than its registers keeps them in memory, and reads three times as slowly.
 *
 * FOR_WIDTH says for which processors a function is compiled, ROWS is the name of the one that is called.
 */

#define JOINED(name, width) name##_##width
#define NAMED(name, width) JOINED(name, width)
#define Vector NAMED(Vector, WIDTH)
#define load NAMED(load, WIDTH)
#define sum_lanes NAMED(sum_lanes, WIDTH)
#define sum_lanes_of_all NAMED(sum_lanes_of_all, WIDTH)
#define shift_of NAMED(shift_of, WIDTH)
#define block_moments NAMED(block_moments, WIDTH)
#define group_moments NAMED(group_moments, WIDTH)
#define long_row NAMED(long_row, WIDTH)

typedef float Vector __attribute__((vector_size(WIDTH * sizeof(float))));

INLINE Vector load(const float *x) {
    Vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* The sum of a vector's lanes. */
INLINE float sum_lanes(Vector v) {
    Four parts[WIDTH / 4];
    memcpy(parts, &v, sizeof v);
#if WIDTH == 16
    parts[0] = (parts[0] + parts[2]) + (parts[1] + parts[3]);
#else
    parts[0] += parts[1];
#endif
    return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
}

/* The sums of GROUP vectors' lanes, in half as many operations as one after another. */
INLINE void sum_lanes_of_all(const Vector *vectors, float *sums) {
#ifdef FOLDS
    Eight part[GROUP];
    for (int k = 0; k < GROUP; k++) {
        Eight parts[WIDTH / 8];
        memcpy(parts, vectors + k, sizeof parts);
#if WIDTH == 16
        parts[0] += parts[1];
#endif
        part[k] = parts[0];
    }
    for (int k = 0; k < GROUP; k += 2) /* shuffles that are single instructions */
        part[k] = __builtin_shufflevector(part[k], part[k + 1], 0, 8, 1, 9, 4, 12, 5, 13) +
                  __builtin_shufflevector(part[k], part[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    for (int k = 0; k < GROUP; k += 4)
        part[k] = __builtin_shufflevector(part[k], part[k + 2], 0, 1, 8, 9, 4, 5, 12, 13) +
                  __builtin_shufflevector(part[k], part[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    part[0] = __builtin_shufflevector(part[0], part[4], 0, 1, 2, 3, 8, 9, 10, 11) + __builtin_shufflevector(part[0], part[4], 4, 5, 6, 7, 12, 13, 14, 15);
    memcpy(sums, part, sizeof *part);
#else
    for (int k = 0; k < GROUP; k++) sums[k] = sum_lanes(vectors[k]);
#endif
}

/* What deviations are taken from. Its distance from the mean, squared, is at most `length` / SAMPLE times the variance; what it adds to the
 * squares, and is taken out again, costs a digit and a half at worst, and usually nothing. */
INLINE float shift_of(const float *restrict x, ptrdiff_t length) {
    const ptrdiff_t quarter = length / 4;
    if (length >= SAMPLE) return sum_lanes((load(x) + load(x + quarter)) + (load(x + 2 * quarter) + load(x + 3 * quarter))) / SAMPLE;
    float total = 0.0f;
    for (ptrdiff_t i = 0; i < length; i++) total += x[i];
    return total / (float)length;
}

/* The mean of values that lie together and the sum of their squared deviations from it. Extremes and zeros are taken in on the way, unless
 * `scalars` is NULL. */
INLINE void block_moments(const float *restrict x, ptrdiff_t length, double inverse, double *mean, double *m2, Scalars *restrict scalars) {
    const Vector none = {0};
    Vector sums[4] = {none, none, none, none}, squares[4] = {none, none, none, none};
    float low[LANES], high[LANES], shift = shift_of(x, length);
    int32_t zeros[LANES];
    if (scalars) {
        memcpy(low, scalars->low, sizeof low);
        memcpy(high, scalars->high, sizeof high);
        memcpy(zeros, scalars->zeros, sizeof zeros);
    }
    ptrdiff_t i;
    for (i = 0; i + 4 * WIDTH <= length; i += 4 * WIDTH) {
        for (int k = 0; k < 4; k++) {
            __builtin_prefetch(x + i + k * WIDTH + BLOCK); /* what comes later arrives while this is worked on */
            Vector deviation = load(x + i + k * WIDTH) - shift;
            sums[k] += deviation;
            squares[k] += deviation * deviation;
        }
        if (scalars)
            for (int k = 0; k < 4 * WIDTH; k += LANES) take_lanes(x + i + k, low, high, zeros);
    }
    if (scalars) {
        memcpy(scalars->low, low, sizeof low);
        memcpy(scalars->high, high, sizeof high);
        memcpy(scalars->zeros, zeros, sizeof zeros);
        take_extremes(x + i, length - i, scalars);
    }
    for (; i + WIDTH <= length; i += WIDTH) {
        Vector deviation = load(x + i) - shift;
        sums[0] += deviation;
        squares[0] += deviation * deviation;
    }
    float sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    float square = sum_lanes((squares[0] + squares[1]) + (squares[2] + squares[3]));
    for (; i < length; i++) {
        float deviation = x[i] - shift;
        sum += deviation;
        square += deviation * deviation;
    }
    take_shift_out(shift, sum, square, inverse, mean, m2);
}

/* The same of GROUP short rows that lie one after another, without extremes: most of what a short row costs is the sum over lanes. */
INLINE void group_moments(const float *restrict x, const ptrdiff_t length, double inverse, double *restrict mean, double *restrict m2) {
    const Vector none = {0};
    Vector sums[GROUP], squares[GROUP];
    float shift[GROUP], sum[GROUP], square[GROUP];
    const ptrdiff_t whole = length - length % WIDTH, sample = whole < SAMPLE ? whole : SAMPLE, apart = whole < SAMPLE ? WIDTH : length / 4;
    for (int k = 0; k < GROUP; k++) {
        Vector some = none;
        for (ptrdiff_t i = 0; i < sample / WIDTH; i++) some += load(x + k * length + i * apart);
        sums[k] = some;
    }
    sum_lanes_of_all(sums, shift);
    for (int k = 0; k < GROUP; k++) shift[k] = sample ? shift[k] / (float)sample : shift_of(x + k * length, length);
    for (int k = 0; k < GROUP; k++) {
        Vector of_row = none, squared = none;
        ptrdiff_t i = 0;
#if WIDTH < 16 /* half as wide, and two of each, so that one sum need not wait for the other */
        Vector of_others = none, others_squared = none;
        for (; i + 2 * WIDTH <= whole; i += 2 * WIDTH) {
            Vector deviation = load(x + k * length + i) - shift[k], other = load(x + k * length + i + WIDTH) - shift[k];
            of_row += deviation;
            squared += deviation * deviation;
            of_others += other;
            others_squared += other * other;
        }
        of_row += of_others;
        squared += others_squared;
#endif
        for (; i < whole; i += WIDTH) {
            Vector deviation = load(x + k * length + i) - shift[k];
            of_row += deviation;
            squared += deviation * deviation;
        }
        sums[k] = of_row;
        squares[k] = squared;
    }
    sum_lanes_of_all(sums, sum);
    sum_lanes_of_all(squares, square);
    for (int k = 0; k < GROUP; k++)
        for (ptrdiff_t i = k * length + whole; i < (k + 1) * length; i++) {
            float deviation = x[i] - shift[k];
            sum[k] += deviation;
            square[k] += deviation * deviation;
        }
    for (int k = 0; k < GROUP; k++) take_shift_out(shift[k], sum[k], square[k], inverse, mean + k, m2 + k);
}

/* A row longer than a block, block after block. */
INLINE void long_row(const float *restrict row, ptrdiff_t positions, double *mean, double *m2, Scalars *restrict scalars) {
    double row_mean = 0.0, row_m2 = 0.0;
    for (ptrdiff_t begin = 0; begin < positions; begin += BLOCK) {
        ptrdiff_t length = positions - begin < BLOCK ? positions - begin : BLOCK;
        double mean_here, m2_here;
        block_moments(row + begin, length, 1.0 / (double)length, &mean_here, &m2_here, scalars);
        /* Chan, Golub, LeVeque 1979 */
        double delta = mean_here - row_mean, weight = (double)length / (double)(begin + length);
        row_mean += delta * weight;
        row_m2 += m2_here + delta * delta * weight * (double)begin;
    }
    *mean = row_mean;
    *m2 = row_m2;
}

/* Positions lie together: x[n, c, p] at n * sample_stride + c * channel_stride + p. Writes mean and m2 at [n, c]. */
FOR_WIDTH
void ROWS(const float *x, ptrdiff_t first, ptrdiff_t last, ptrdiff_t channels, ptrdiff_t positions, ptrdiff_t sample_stride,
          ptrdiff_t channel_stride, double *mean, double *m2, double *low_high_zeros) {
    Scalars scalars;
    start(&scalars, x[first * sample_stride]);
    /* Short rows that lie side by side are read as one block. */
    ptrdiff_t together = channel_stride == positions && positions < BLOCK ? BLOCK / positions : 1;
    double inverse = 1.0 / (double)positions;
    for (ptrdiff_t n = first; n < last; n++) {
        const float *sample = x + n * sample_stride;
        for (ptrdiff_t c = 0; c < channels; c += together) {
            ptrdiff_t end = c + together < channels ? c + together : channels;
            const float *row = sample + c * channel_stride;
            double *mean_here = mean + n * channels + c, *m2_here = m2 + n * channels + c;
            if (positions > BLOCK) {
                long_row(row, positions, mean_here, m2_here, &scalars);
            } else if (positions > SHORT || together == 1) {
                for (ptrdiff_t i = c; i < end; i++, row += channel_stride) block_moments(row, positions, inverse, mean_here++, m2_here++, &scalars);
            } else { /* the extremes of many short rows at once */
                take_extremes(row, (end - c) * positions, &scalars);
                ptrdiff_t i = c;
                for (; i + GROUP <= end; i += GROUP, row += GROUP * positions, mean_here += GROUP, m2_here += GROUP)
                    if (positions == 64) /* a length that the compiler knows */
                        group_moments(row, 64, inverse, mean_here, m2_here);
                    else
                        group_moments(row, positions, inverse, mean_here, m2_here);
                for (; i < end; i++, row += channel_stride) block_moments(row, positions, inverse, mean_here++, m2_here++, NULL);
            }
        }
        empty_zeros(&scalars); /* before a 32-bit lane could overflow */
    }
    finish(&scalars, low_high_zeros);
}

#undef JOINED
#undef NAMED
#undef Vector
#undef load
#undef sum_lanes
#undef sum_lanes_of_all
#undef shift_of
#undef block_moments
#undef group_moments
#undef long_row
