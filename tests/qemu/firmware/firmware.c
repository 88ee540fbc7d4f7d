/* A firmware of somebody else's for the mps3-an547: it knows linnet.h and the library, and nothing of this project's boards. One file, its
 * own platform table, no C library. Prints what the model says and a checksum of all logits. */
#include <linnet.h>

#define FLASH ((const uint8_t*)0x28000000u)
#define UART(offset) (*(volatile uint32_t*)(0x49303000u + (offset)))
#define CPACR (*(volatile uint32_t*)0xe000ed88u)

extern unsigned char stack_top[];
static _Alignas(LINNET_ARENA_ALIGNMENT) unsigned char arena[400 * 1024];

/* ---- what the library asks for at link time ---- */

void* memcpy(void* to, const void* from, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) ((unsigned char*)to)[i] = ((const unsigned char*)from)[i];
    return to;
}
void* memmove(void* to, const void* from, size_t bytes) {
    if ((uintptr_t)to <= (uintptr_t)from) return memcpy(to, from, bytes);
    while (bytes-- != 0) ((unsigned char*)to)[bytes] = ((const unsigned char*)from)[bytes];
    return to;
}
void* memset(void* to, int value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) ((unsigned char*)to)[i] = (unsigned char)value;
    return to;
}
int memcmp(const void* a, const void* b, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
        const int difference = ((const unsigned char*)a)[i] - ((const unsigned char*)b)[i];
        if (difference != 0) return difference;
    }
    return 0;
}
size_t strlen(const char* text) {
    size_t length = 0;
    while (text[length] != 0) ++length;
    return length;
}

/* ---- the board ---- */

static void say(const char* text, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
        while ((UART(4) & 1) != 0) {}
        UART(0) = (uint8_t)text[i];
    }
}

static _Noreturn void end(uintptr_t code) {
    const uintptr_t parameters[2] = {0x20026, code};
    register uintptr_t r0 __asm__("r0") = 0x20;
    register const void* r1 __asm__("r1") = parameters;
    for (;;) __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static _Noreturn void fail(const linnet_error* error) {
    say(error->text, strlen(error->text));
    end(1);
}

/* ---- the platform: read is all that must be there; map makes the weights stay in flash ---- */

static int32_t read_flash(void* context, uint64_t offset, void* to, size_t bytes) {
    (void)context;
    memcpy(to, FLASH + (size_t)offset, bytes);
    return 0;
}

static const void* map_flash(void* context, uint64_t offset, size_t bytes) {
    (void)context;
    (void)bytes;
    return FLASH + (size_t)offset;
}

/* FNV-1a, 64 bits. */
static uint64_t checksum = 0xcbf29ce484222325u;
static uint32_t vocabulary;

static void add_row(void* context, uint32_t position, const float* logits) {
    const unsigned char* bytes = (const unsigned char*)logits;
    (void)context;
    (void)position;
    for (size_t i = 0; i < vocabulary * sizeof *logits; ++i) checksum = (checksum ^ bytes[i]) * 0x100000001b3u;
}

static void run(void) {
    static const char prompt[] = "Once upon a time";
    linnet_platform platform = {.version = LINNET_PLATFORM_VERSION, .read = read_flash, .map = map_flash};
    linnet_options options = linnet_default_options();
    linnet_sampling sampling = linnet_default_sampling();
    linnet_text_stream stream = {0};
    linnet_error error;
    linnet_plan plan;
    linnet_model* model;
    linnet_session* session;
    linnet_info info;
    int32_t tokens[32];
    size_t count;
    char piece[512];
    size_t bytes;

    memcpy(&platform.file_bytes, FLASH + 16, sizeof platform.file_bytes);
    options.context = 64;
    options.batch = 8;
    options.text_run = 256;
    sampling.temperature = 0;
    if (linnet_make_plan(&platform, &options, &plan, &error)) fail(&error);
    if (linnet_open(&platform, &options, arena, sizeof arena, &model, &error)) fail(&error);
    if (linnet_session_open(model, &session, &error)) fail(&error);
    linnet_get_info(model, &info);
    vocabulary = info.vocabulary;
    if (linnet_tokenize(model, prompt, sizeof prompt - 1, 0, tokens, 32, &count, &error)) fail(&error);
    if (linnet_evaluate_all(session, tokens, count, add_row, 0, &error)) fail(&error);
    say(prompt, sizeof prompt - 1);
    for (int i = 0; i < 12; ++i) {
        int32_t token;
        if (linnet_sample(session, &sampling, &token, &error)) fail(&error);
        if (linnet_detokenize(model, &stream, token, 0, piece, sizeof piece, &bytes, &error)) fail(&error);
        say(piece, bytes);
        if (linnet_evaluate_all(session, &token, 1, add_row, 0, &error)) fail(&error);
    }
    say("\n", 1);
    for (int shift = 60; shift >= 0; shift -= 4) say(&"0123456789abcdef"[checksum >> shift & 15], 1);
    say("\n", 1);
}

static __attribute__((noinline)) _Noreturn void go(void) {
    run();
    end(0);
}

static _Noreturn void reset(void) {
    CPACR |= 0xfu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    UART(0x10) = 278;
    UART(8) = 1;
    go();
}

static _Noreturn void fault(void) { end(70); }

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const vector vectors[8] = {
    (vector)(uintptr_t)stack_top, reset, fault, fault, fault, fault, fault, fault};
