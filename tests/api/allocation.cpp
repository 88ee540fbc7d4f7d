// The core allocates nothing: planning, opening, tokenising, evaluating, sampling and generating under a trap that ends the
// process at the first call of malloc or operator new, by whomever.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/linnet.h"
#include "tools/converter/convert.h"

namespace {

bool trapped = false;

void allocated(const char* what) {
    if (!trapped) return;
    trapped = false;
    const char* parts[] = {"The core allocated memory: ", what, "\n"};
    for (const char* part : parts) {
        if (write(2, part, strlen(part)) < 0) break;
    }
    _exit(1);
}

}  // namespace

// The C library's own, under another name: what these replace.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* malloc(size_t bytes) {
    allocated("malloc");
    return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
    allocated("calloc");
    return __libc_calloc(count, bytes);
}
void* realloc(void* old, size_t bytes) {
    allocated("realloc");
    return __libc_realloc(old, bytes);
}
}

namespace {

struct Bytes : linnet::Output {
    std::vector<uint8_t> bytes;
    linnet::Status write(const void* from, size_t count, linnet::Error&) override {
        const uint8_t* begin = static_cast<const uint8_t*>(from);
        bytes.insert(bytes.end(), begin, begin + count);
        return linnet::Status::ok;
    }
};

int32_t read_bytes(void* context, uint64_t offset, void* to, size_t bytes) {
    const std::vector<uint8_t>& from = *static_cast<std::vector<uint8_t>*>(context);
    if (offset > from.size() || bytes > from.size() - offset) return -1;
    if (bytes != 0) memcpy(to, from.data() + offset, bytes);
    return 0;
}

[[noreturn]] void fail(const char* what, const linnet_error& error) {
    trapped = false;
    fprintf(stderr, "%s: %s\n", what, error.text);
    exit(1);
}

}  // namespace

int main() {
    for (const char* shape : {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"}) {
        Bytes output;
        linnet::Error why;
        if (linnet::synthesise(shape, 1, 32, output, nullptr, nullptr, why) != linnet::Status::ok) {
            fprintf(stderr, "%s\n", why.text());
            return 1;
        }
        linnet_platform platform{};
        platform.version = LINNET_PLATFORM_VERSION;
        platform.context = &output.bytes;
        platform.file_bytes = output.bytes.size();
        platform.read = read_bytes;
        linnet_options options = linnet_default_options();
        linnet_error error{};

        linnet_plan plan;
        trapped = true;
        if (linnet_make_plan(&platform, &options, &plan, &error) != LINNET_OK) fail("plan", error);
        trapped = false;
        void* arena = aligned_alloc(LINNET_ARENA_ALIGNMENT, static_cast<size_t>(plan.total_bytes));
        trapped = true;

        linnet_model* model;
        linnet_session* session;
        if (linnet_open(&platform, &options, arena, static_cast<size_t>(plan.total_bytes), &model, &error) != LINNET_OK) {
            fail("open", error);
        }
        if (linnet_session_open(model, &session, &error) != LINNET_OK) fail("session", error);
        const char text[] = "Hello, world. \xf0\x9f\xa6\x99 \xff  <s> and a little more.";
        int32_t tokens[256];
        size_t count = 0;
        if (linnet_tokenize(model, text, sizeof text - 1, LINNET_TEXT_SPECIAL, tokens, 256, &count, &error) != LINNET_OK) {
            fail("tokenize", error);
        }
        if (count == 0 || count > 256) fail("tokenize gave nothing", error);
        if (linnet_evaluate(session, tokens, count, &error) != LINNET_OK) fail("evaluate", error);
        linnet_generation generation = linnet_default_generation();
        generation.max_tokens = 40;
        generation.ignore_end = 1;
        linnet_generated generated;
        if (linnet_generate(session, &generation, &generated, &error) != LINNET_OK) fail("generate", error);
        if (linnet_rewind(session, 3, &error) != LINNET_OK) fail("rewind", error);
        if (linnet_evaluate(session, tokens, count, &error) != LINNET_OK) fail("evaluate again", error);
        trapped = false;
        printf("%s: %u tokens generated, nothing allocated\n", shape, generated.tokens);
        free(arena);
    }
    // The trap itself works.
    trapped = true;
    const pid_t child = fork();
    if (child == 0) {
        void* volatile memory = malloc(1);
        free(memory);
        _exit(0);
    }
    trapped = false;
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1 ? 0 : 1;
}
