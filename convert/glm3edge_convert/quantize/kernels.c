/* Quantization to q4_K, q5_K, q6_K and q8_0, and float16 to float32.

   quantize_row_*_ref of ggml-quants.c tries twenty scales for a block of 16 or 32 values, in sums
   that each wait for the addition before. Here every lane of a vector is another block, so the
   processor has sixteen sums to add at once, and each is added up in ggml's order: the bytes are
   ggml's. Expressions are therefore written as they are there; do not reorder them, and do not let
   the compiler (no -ffast-math, and no contraction to FMA where ggml's build has none). */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define EACH for (int j = 0; j < LANES; j++)
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GLIBC__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

typedef float lanes[LANES];

/* Functions of ggml.h: for float16, and for superblocks that are too rare to have code here. */
struct ggml {
    uint16_t (*to_half)(float);
    float (*from_half)(uint16_t);
    size_t (*quantize_chunk)(
        int type, const float *x, void *y, int64_t start, int64_t num_rows, int64_t row_size,
        const float *importances);
    int type;
};

static void leave_to_ggml(const float *x, uint8_t *y, int64_t num_values, const struct ggml *ggml) {
    ggml->quantize_chunk(ggml->type, x, y, 0, 1, num_values, NULL);
}

INLINE int clamped_int(float value, int low, int high) {
    value += 12582912.f;
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits & 0x007fffff) - 0x00400000;
    bits = bits < high ? bits : high;
    return bits > low ? bits : low;
}

/* make_qkx2_quants for LANES blocks of 32. A flat block has the scale 0. */
INLINE void search_scale_and_min(
    const lanes *x, int max, float first, int num_steps, float *scale, float *min, int *is_flat) {
    lanes w[32], l[32], sum_w, sum_x, low, high, error, first_low;
    EACH sum_w[j] = 0;
    for (int i = 0; i < 32; i++) EACH sum_w[j] += x[i][j] * x[i][j];
    EACH sum_w[j] = sqrtf(sum_w[j] / 32);
    for (int i = 0; i < 32; i++) EACH w[i][j] = sum_w[j] + fabsf(x[i][j]);
    EACH {
        low[j] = high[j] = x[0][j];
        sum_w[j] = w[0][j];
        sum_x[j] = sum_w[j] * x[0][j];
    }
    for (int i = 1; i < 32; i++) EACH {
        low[j] = x[i][j] < low[j] ? x[i][j] : low[j];
        high[j] = x[i][j] > high[j] ? x[i][j] : high[j];
        sum_w[j] += w[i][j];
        sum_x[j] += w[i][j] * x[i][j];
    }
    EACH {
        first_low[j] = low[j] = low[j] > 0 ? 0 : low[j];
        is_flat[j] = high[j] == low[j];
        scale[j] = 1 / (max / (high[j] - low[j]));
        error[j] = 0;
    }
    for (int i = 0; i < 32; i++) EACH {
        int q = clamped_int(max / (high[j] - low[j]) * (x[i][j] - low[j]), 0, max);
        float diff = scale[j] * q + low[j] - x[i][j];
        diff = diff * diff;
        error[j] += w[i][j] * diff;
    }
    for (int step = 0; step <= num_steps; step++) {
        lanes inverse, sum_l, sum_l2, sum_xl, this_scale, this_min, this_error, determinant;
        EACH {
            inverse[j] = (first + 0.1f * step + max) / (high[j] - low[j]);
            sum_l[j] = sum_l2[j] = sum_xl[j] = this_error[j] = 0;
        }
        for (int i = 0; i < 32; i++) EACH {
            l[i][j] = clamped_int(inverse[j] * (x[i][j] - low[j]), 0, max);
            sum_l[j] += w[i][j] * l[i][j];
            sum_l2[j] += w[i][j] * l[i][j] * l[i][j];
            sum_xl[j] += w[i][j] * l[i][j] * x[i][j];
        }
        EACH {
            float d = sum_w[j] * sum_l2[j] - sum_l[j] * sum_l[j];
            float fitted_min = (sum_l2[j] * sum_x[j] - sum_l[j] * sum_xl[j]) / d;
            float fitted_scale = (sum_w[j] * sum_xl[j] - sum_x[j] * sum_l[j]) / d;
            float scale_alone = sum_xl[j] / sum_l2[j];
            determinant[j] = d;
            this_scale[j] = fitted_min > 0 ? scale_alone : fitted_scale;
            this_min[j] = fitted_min > 0 ? 0 : fitted_min;
        }
        for (int i = 0; i < 32; i++) EACH {
            float diff = this_scale[j] * l[i][j] + this_min[j] - x[i][j];
            diff = diff * diff;
            this_error[j] += w[i][j] * diff;
        }
        EACH {
            int is_better = (determinant[j] > 0) & (this_error[j] < error[j]);
            error[j] = is_better ? this_error[j] : error[j];
            scale[j] = is_better ? this_scale[j] : scale[j];
            low[j] = is_better ? this_min[j] : low[j];
        }
    }
    EACH {
        scale[j] = is_flat[j] ? 0 : scale[j];
        min[j] = is_flat[j] ? -first_low[j] : -low[j];
    }
}

/* make_qx_quants(16, 32, .., 1, NULL) for LANES blocks of 16. A block of zeros has the scale 0. */
INLINE void search_scale(const lanes *x, float *scale, int *is_zero) {
    lanes largest, size, best;
    EACH size[j] = largest[j] = best[j] = scale[j] = 0;
    for (int i = 0; i < 16; i++) EACH {
        float this_size = fabsf(x[i][j]);
        largest[j] = this_size > size[j] ? x[i][j] : largest[j];
        size[j] = this_size > size[j] ? this_size : size[j];
    }
    for (int step = -10; step <= 9; step++) { /* -10 stands for the plain scale, which comes first */
        lanes inverse, sum_lx, sum_l2;
        if (step == 0) continue;
        EACH {
            inverse[j] = -(32 + (step == -10 ? 0 : 0.1f * step)) / largest[j];
            sum_lx[j] = sum_l2[j] = 0;
        }
        for (int i = 0; i < 16; i++) EACH {
            int l = clamped_int(inverse[j] * x[i][j], -32, 31);
            float w = x[i][j] * x[i][j];
            sum_lx[j] += w * x[i][j] * l;
            sum_l2[j] += w * l * l;
        }
        EACH {
            float this_scale = sum_lx[j] / sum_l2[j];
            int is_better = (sum_l2[j] > 0) &
                ((step == -10) | (sum_lx[j] * sum_lx[j] > best[j] * sum_l2[j]));
            scale[j] = is_better ? this_scale : scale[j];
            best[j] = is_better ? this_scale * sum_lx[j] : best[j];
        }
    }
    EACH {
        is_zero[j] = size[j] < 1e-15f;
        scale[j] = is_zero[j] ? 0 : scale[j];
    }
}

/* Values of LANES blocks that follow each other, one block to a lane. */
INLINE void transpose(const float *x, int block_size, lanes *out) {
    for (int i = 0; i < block_size; i++) EACH out[i][j] = x[j * block_size + i];
}

/* A superblock of q4_K (max 15) or q5_K (max 31), with the scales and minima found; 0 if ggml is
   to do it, because some values keep what they had in the search. */
INLINE int write_q4_or_q5(
    const float *x, uint8_t *y, int max, const float *scale, const float *min, const int *is_flat,
    const struct ggml *ggml) {
    float max_scale = 0, max_min = 0;
    uint8_t q[256], scales[8], mins[8], *packed = y + 4;
    for (int j = 0; j < 8; j++) {
        max_scale = scale[j] > max_scale ? scale[j] : max_scale;
        max_min = min[j] > max_min ? min[j] : max_min;
    }
    float inverse_scale = max_scale > 0 ? 63.f / max_scale : 0.f;
    float inverse_min = max_min > 0 ? 63.f / max_min : 0.f;
    for (int j = 0; j < 8; j++) {
        uint8_t s = clamped_int(inverse_scale * scale[j], INT32_MIN, INT32_MAX);
        uint8_t m = clamped_int(inverse_min * min[j], INT32_MIN, INT32_MAX);
        scales[j] = s < 63 ? s : 63;
        mins[j] = m < 63 ? m : 63;
    }
    for (int j = 0; j < 4; j++) {
        packed[j] = scales[j] | (scales[j + 4] >> 4 << 6);
        packed[j + 4] = mins[j] | (mins[j + 4] >> 4 << 6);
        packed[j + 8] = (scales[j + 4] & 15) | ((mins[j + 4] & 15) << 4);
    }
    uint16_t halves[2] = {ggml->to_half(max_scale / 63.f), ggml->to_half(max_min / 63.f)};
    memcpy(y, halves, sizeof halves);
    for (int j = 0; j < 8; j++) {
        float d = ggml->from_half(halves[0]) * scales[j];
        float dm = ggml->from_half(halves[1]) * mins[j];
        if (!d && !is_flat[j]) return 0;
        for (int i = 0; i < 32; i++)
            q[32 * j + i] = d ? clamped_int((x[32 * j + i] + dm) / d, 0, max) : 0;
    }
    uint8_t *high = y + 16, *low = max == 31 ? high + 32 : high;
    if (max == 31) memset(high, 0, 32);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 32; i++) {
            uint8_t q1 = q[64 * j + i], q2 = q[64 * j + 32 + i];
            low[32 * j + i] = (q1 & 15) | ((q2 & 15) << 4);
            if (max == 31) high[i] |= (q1 >> 4 << 2 * j) | (q2 >> 4 << (2 * j + 1));
        }
    return 1;
}

INLINE void quantize_q4_or_q5(
    const float *x, uint8_t *y, int64_t num_values, int max, float first, int num_steps,
    const struct ggml *ggml) {
    int num_bytes = max == 15 ? 144 : 176;
    for (; num_values >= 512; num_values -= 512, x += 512, y += 2 * num_bytes) {
        lanes columns[32], scale, min;
        int is_flat[LANES];
        transpose(x, 32, columns);
        search_scale_and_min(columns, max, first, num_steps, scale, min, is_flat);
        for (int k = 0; k < 2; k++)
            if (!write_q4_or_q5(
                    x + 256 * k, y + num_bytes * k, max, scale + 8 * k, min + 8 * k,
                    is_flat + 8 * k, ggml))
                leave_to_ggml(x + 256 * k, y + num_bytes * k, 256, ggml);
    }
    if (num_values) leave_to_ggml(x, y, num_values, ggml);
}

INLINE int write_q6(
    const float *x, uint8_t *y, const float *scale, const int *is_zero, const struct ggml *ggml) {
    float largest = 0, size = 0;
    for (int j = 0; j < 16; j++) {
        largest = fabsf(scale[j]) > size ? scale[j] : largest;
        size = fabsf(scale[j]) > size ? fabsf(scale[j]) : size;
    }
    if (size < 1e-15f) return 0;
    uint8_t q[256];
    float inverse = -128.f / largest;
    uint16_t half = ggml->to_half(1 / inverse);
    for (int j = 0; j < 16; j++) {
        int8_t s = clamped_int(inverse * scale[j], INT32_MIN, 127);
        float d = ggml->from_half(half) * s;
        if (!d && !is_zero[j]) return 0;
        for (int i = 0; i < 16; i++)
            q[16 * j + i] = d ? clamped_int(x[16 * j + i] / d, -32, 31) + 32 : 0;
        y[192 + j] = s;
    }
    memcpy(y + 208, &half, sizeof half);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 32; i++) {
            const uint8_t *from = q + 128 * k + i;
            y[64 * k + i] = (from[0] & 15) | ((from[64] & 15) << 4);
            y[64 * k + 32 + i] = (from[32] & 15) | ((from[96] & 15) << 4);
            y[128 + 32 * k + i] = (from[0] >> 4) | (from[32] >> 4 << 2) | (from[64] >> 4 << 4) |
                (from[96] >> 4 << 6);
        }
    return 1;
}

FOR_EACH_PROCESSOR
void quantize_q4_K(const float *x, uint8_t *y, int64_t num_values, const struct ggml *ggml) {
    quantize_q4_or_q5(x, y, num_values, 15, -1.f, 20, ggml);
}

FOR_EACH_PROCESSOR
void quantize_q5_K(const float *x, uint8_t *y, int64_t num_values, const struct ggml *ggml) {
    quantize_q4_or_q5(x, y, num_values, 31, -0.5f, 15, ggml);
}

FOR_EACH_PROCESSOR
void quantize_q6_K(const float *x, uint8_t *y, int64_t num_values, const struct ggml *ggml) {
    for (; num_values; num_values -= 256, x += 256, y += 210) {
        lanes columns[16], scale;
        int is_zero[LANES];
        transpose(x, 16, columns);
        search_scale(columns, scale, is_zero);
        if (!write_q6(x, y, scale, is_zero, ggml)) leave_to_ggml(x, y, 256, ggml);
    }
}

FOR_EACH_PROCESSOR
void quantize_q8_0(const float *x, uint8_t *y, int64_t num_values, const struct ggml *ggml) {
    for (; num_values; num_values -= 32, x += 32, y += 34) {
        int32_t size = 0;
        for (int i = 0; i < 32; i++) { /* sizes of floats compare as their bits do */
            int32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            bits &= 0x7fffffff;
            size = bits > size ? bits : size;
        }
        float largest;
        memcpy(&largest, &size, sizeof largest);
        float d = largest / 127, inverse = d ? 1.0f / d : 0.0f;
        if (isinf(inverse)) {
            leave_to_ggml(x, y, 32, ggml);
            continue;
        }
        uint16_t half = ggml->to_half(d);
        memcpy(y, &half, sizeof half);
        for (int i = 0; i < 32; i++) { /* roundf: halves away from zero */
            float value = x[i] * inverse, part = value - (float)(int32_t)value;
            y[2 + i] = (int8_t)((int32_t)value + (part >= 0.5f) - (part <= -0.5f));
        }
    }
}

FOR_EACH_PROCESSOR
void widen_float16(const uint16_t *x, float *y, int64_t num_values) {
    for (int64_t i = 0; i < num_values; i++) {
        uint32_t size = x[i] & 0x7fff, bits = size << 13;
        float value;
        memcpy(&value, &bits, sizeof value);
        value *= 0x1p112f; /* the exponents' biases are 127 and 15; subnormals become normal */
        memcpy(&bits, &value, sizeof bits);
        bits |= size >= 0x7c00 ? 0x7f800000 : 0;
        bits |= (uint32_t)(x[i] & 0x8000) << 16;
        memcpy(y + i, &bits, sizeof bits);
    }
}
