// llm.c's reference trainer of GPT-2 124M as a side: LLM_C is the path of its train_gpt2.c, which is not part of this
// project. The weights are random, because the time of a step does not depend on them.
#define TESTING
#include LLM_C
#include "side.h"

static GPT2 model;
static int inputs[ROWS * TOKENS], targets[ROWS * TOKENS], steps;

static float step(unsigned long long seed) {
    for (int i = 0; i < ROWS * TOKENS; i++) {
        inputs[i] = random_bits(&seed) % VOCABULARY;
        targets[i] = random_bits(&seed) % VOCABULARY;
    }
    gpt2_forward(&model, inputs, targets, ROWS, TOKENS);
    gpt2_zero_grad(&model);
    gpt2_backward(&model);
    gpt2_update(&model, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, ++steps);
    return model.mean_loss;
}

// Writes what gpt2_build_from_checkpoint reads, and reads it.
static void build(const char *path) {
    int header[256] = {20240326, 1, POSITIONS, VOCABULARY, LAYERS, HEADS, WIDTH};
    int vocabulary = VOCABULARY;
#ifdef PADDED
    header[1] = 3;
    header[7] = vocabulary = 50304;
#endif
    size_t layer = 12 * (size_t)WIDTH * WIDTH + 13 * WIDTH;
    size_t count = (size_t)(vocabulary + POSITIONS) * WIDTH + LAYERS * layer + 2 * WIDTH;
    FILE *file = fopen(path, "wb");
    if (!file) { perror(path); exit(1); }
    int written = fwrite(header, sizeof header, 1, file) == 1;
    unsigned long long state = 1;
    for (size_t i = 0; i < count && written; i++) {
        float weight = ((float)random_bits(&state) / 1073741824.0f - 1.0f) * 0.035f;
        written = fwrite(&weight, sizeof weight, 1, file) == 1;
    }
    if (fclose(file) || !written) { perror(path); exit(1); }
    // It says on its standard output what it reads; ours belongs to the turns.
    fflush(stdout);
    FILE *output = stdout;
    stdout = stderr;
    gpt2_build_from_checkpoint(&model, path);
    stdout = output;
    remove(path);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    build(arguments[1]);
    return serve(step);
}
