// The matrix products of one training step of GPT-2 124M as plain loops, left to the compiler, and nothing else: what a
// trainer written in such loops spends most of its time on.
#include "side.h"

static float *weights, *gradients, *inputs, *outputs, *input_gradients, *output_gradients;

// outputs[token][row] = sum of inputs[token][column] * weights[row][column], and both products of the way back.
static void linear(size_t columns, size_t rows) {
#pragma omp parallel for
    for (int token = 0; token < ROWS * TOKENS; token++) {
        const float *input = inputs + token * columns;
        for (size_t row = 0; row < rows; row++) {
            const float *weight = weights + row * columns;
            float sum = 0;
            for (size_t column = 0; column < columns; column++) sum += input[column] * weight[column];
            outputs[token * rows + row] = sum;
        }
    }
#pragma omp parallel for
    for (int token = 0; token < ROWS * TOKENS; token++) {
        float *gradient = input_gradients + token * columns;
        for (size_t row = 0; row < rows; row++) {
            const float *weight = weights + row * columns;
            float factor = output_gradients[token * rows + row];
            for (size_t column = 0; column < columns; column++) gradient[column] += weight[column] * factor;
        }
    }
#pragma omp parallel for
    for (size_t row = 0; row < rows; row++) {
        float *gradient = gradients + row * columns;
        for (int token = 0; token < ROWS * TOKENS; token++) {
            const float *input = inputs + token * columns;
            float factor = output_gradients[token * rows + row];
            for (size_t column = 0; column < columns; column++) gradient[column] += input[column] * factor;
        }
    }
}

static float step(unsigned long long seed) {
    (void)seed;
    for (int layer = 0; layer < LAYERS; layer++) {
        linear(WIDTH, 3 * WIDTH);
        linear(WIDTH, WIDTH);
        linear(WIDTH, 4 * WIDTH);
        linear(4 * WIDTH, WIDTH);
    }
    linear(WIDTH, VOCABULARY);
    return -1;
}

static float *filled(size_t count) {
    float *values = malloc(count * sizeof *values);
    if (!values) { perror("malloc"); exit(1); }
    for (size_t i = 0; i < count; i++) values[i] = 1e-3f * (float)(i % 7);
    return values;
}

int main(void) {
    size_t most = (size_t)VOCABULARY * WIDTH, tokens = ROWS * TOKENS;
    weights = filled(most);
    gradients = filled(most);
    inputs = filled(tokens * 4 * WIDTH);
    input_gradients = filled(tokens * 4 * WIDTH);
    outputs = filled(tokens * VOCABULARY);
    output_gradients = filled(tokens * VOCABULARY);
    return serve(step);
}
