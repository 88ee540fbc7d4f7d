/* The C API as a C11 program sees it: the header is C, and the library links without the C++ runtime. */
#include <stdio.h>
#include <string.h>

#include "core/linnet.h"

static int failures = 0;

static void expect(int truth, const char* what) {
    if (!truth) {
        fprintf(stderr, "failed: %s\n", what);
        ++failures;
    }
}

static const char not_a_model[4096] = "This is not a model.";

static int32_t read_bytes(void* context, uint64_t offset, void* to, size_t bytes) {
    (void)context;
    if (offset > sizeof not_a_model || bytes > sizeof not_a_model - offset) return -1;
    memcpy(to, not_a_model + offset, bytes);
    return 0;
}

static int32_t never(void* context, uint64_t offset, void* to, size_t bytes) {
    (void)context, (void)offset, (void)to, (void)bytes;
    expect(0, "a platform of another version is not called");
    return -1;
}

int main(void) {
    linnet_platform platform;
    linnet_options options = linnet_default_options();
    linnet_plan plan;
    linnet_error error;
    memset(&platform, 0, sizeof platform);
    platform.version = LINNET_PLATFORM_VERSION;
    platform.file_bytes = sizeof not_a_model;
    platform.read = read_bytes;

    expect(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_BAD_FILE, "a file of another kind is a bad file");
    expect(strstr(error.text, "linnet convert") != NULL, "the sentence says what to do");

    /* Neither may be called: of another version's table nobody knows where `read` is. */
    platform.read = NULL;
    expect(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_BAD_ARGUMENT, "a platform without read is refused");
    platform.read = never;
    platform.version = LINNET_PLATFORM_VERSION + 1;
    expect(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_BAD_ARGUMENT,
           "a platform of another version is refused");
    platform.version = LINNET_PLATFORM_VERSION;
    platform.read = read_bytes;

    platform.file_bytes = 100;
    expect(linnet_make_plan(&platform, &options, &plan, &error) == LINNET_BAD_FILE, "a short file is a bad file");

    platform.file_bytes = (uint64_t)1 << 20;
    expect(linnet_make_plan(&platform, &options, &plan, NULL) != LINNET_OK, "an error may be null");
    expect(strcmp(linnet_status_name(LINNET_CANCELLED), "cancelled") == 0, "statuses have names");
    expect(linnet_default_sampling().top_k == 40, "sampling has defaults");
    expect(linnet_default_generation().stop_count == 0, "generation has defaults");

    if (failures == 0) puts("The C API is C, and stands alone.");
    return failures == 0 ? 0 : 1;
}
