/* A program of somebody else's, in C11, built against the installed library: writes the logits of given tokens, as
 * `linnet logits --out` does.     consumer MODEL TOKEN,TOKEN,… OUT */
#include <linnet.h>
#include <stdio.h>
#include <stdlib.h>

static int32_t read_file(void* context, uint64_t offset, void* to, size_t bytes) {
    FILE* file = (FILE*)context;
    if (fseek(file, (long)offset, SEEK_SET) != 0) return 1;
    return fread(to, 1, bytes, file) == bytes ? 0 : 2;
}

struct sink {
    FILE* file;
    uint32_t vocabulary;
};

static void write_row(void* context, uint32_t position, const float* logits) {
    const struct sink* sink = (const struct sink*)context;
    (void)position;
    fwrite(logits, sizeof *logits, sink->vocabulary, sink->file);
}

static int complain(const linnet_error* error) {
    fprintf(stderr, "%s\n", error->text);
    return 1;
}

int main(int count, char** arguments) {
    linnet_platform platform = {.version = LINNET_PLATFORM_VERSION, .read = read_file};
    linnet_options options = linnet_default_options();
    linnet_plan plan;
    linnet_error error;
    linnet_model* model;
    linnet_session* session;
    linnet_info info;
    FILE* file;
    int32_t tokens[256];
    size_t token_count = 0;

    if (count != 4) return 2;
    file = fopen(arguments[1], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return 2;
    platform.context = file;
    platform.file_bytes = (uint64_t)ftell(file);
    for (char* at = arguments[2]; *at != 0 && token_count < 256; at += *at == ',')
        tokens[token_count++] = (int32_t)strtol(at, &at, 10);

    if (linnet_make_plan(&platform, &options, &plan, &error)) return complain(&error);
    size_t bytes = (size_t)plan.total_bytes;
    void* arena = aligned_alloc(LINNET_ARENA_ALIGNMENT,
                                (bytes + LINNET_ARENA_ALIGNMENT - 1) / LINNET_ARENA_ALIGNMENT * LINNET_ARENA_ALIGNMENT);
    if (arena == NULL || linnet_open(&platform, &options, arena, bytes, &model, &error)) return complain(&error);
    if (linnet_session_open(model, &session, &error)) return complain(&error);
    linnet_get_info(model, &info);
    struct sink sink = {fopen(arguments[3], "wb"), info.vocabulary};
    if (sink.file == NULL) return 2;
    if (linnet_evaluate_all(session, tokens, token_count, write_row, &sink, &error)) return complain(&error);
    linnet_close(model);
    return fclose(sink.file) == 0 ? 0 : 1;
}
