// A session whose keys and values are kept in 4 bits: the same bits however it is computed. (Paused, saved, copied and under a
// ceiling: test_pause.cpp, test_snapshot.cpp, test_stream.cpp.)
#include <doctest/doctest.h>

#include <thread>

#include "core/kernels/kernels.h"
#include "tests/unit/kernels_reference.h"
#include "tests/unit/test_model.h"

using namespace linnet;

namespace {

void with_int4(linnet_options& options) { options.kv_format = LINNET_KV_INT4; }

// The logits after the last token, the tokens evaluated in pieces of this size.
std::vector<float> last_logits(linnet_session* session, uint32_t vocabulary, const std::vector<int32_t>& tokens, size_t piece) {
    linnet_error error;
    for (size_t at = 0; at < tokens.size(); at += piece) {
        const linnet_status status = linnet_evaluate(session, tokens.data() + at, std::min(piece, tokens.size() - at), &error);
        REQUIRE_MESSAGE(status == LINNET_OK, std::string(error.text));
    }
    const float* logits = linnet_logits(session);
    return {logits, logits + vocabulary};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("int4 keys and values: the same bits for every batch, thread, kernel and way to cut a prompt") {
    for (const char* shape : {"tiny", "tiny-llama", "tiny-window", "tiny-longrope"}) {
        CAPTURE(shape);
        TestModel plain(shape, with_int4);
        TestModel int8(shape);
        const uint32_t vocabulary = vocabulary_of(plain);
        const std::vector<int32_t> tokens = some_tokens(70, vocabulary);
        const std::vector<float> expected = last_logits(plain.session(), vocabulary, tokens, 70);
        CHECK(!same_bits(expected, last_logits(int8.session(), vocabulary, tokens, 70)));
        CHECK(plain.plan().kv_bytes < int8.plan().kv_bytes);
        CHECK(plain.plan().kv_bytes_per_token < int8.plan().kv_bytes_per_token);

        for (uint32_t batch : {1u, 7u}) {
            TestModel small(shape, [=](linnet_options& options) {
                with_int4(options);
                options.batch = batch;
            });
            CHECK(same_bits(expected, last_logits(small.session(), vocabulary, tokens, 9)));
        }
        TestModel threaded(shape, with_int4, [](linnet_platform& platform) {
            platform.parallel = [](void*, linnet_task task, void* context, uint32_t count) {
                std::vector<std::thread> threads;
                for (uint32_t i = count; i-- > 0;) threads.emplace_back([=] { task(context, i); });
                for (std::thread& thread : threads) thread.join();
            };
            platform.threads = 3;
        });
        CHECK(same_bits(expected, last_logits(threaded.session(), vocabulary, tokens, 40)));
        for (const KernelTable* table : kernel_tests::runnable_tables()) {
            const char* name = table->name;
            CAPTURE(name);
            TestModel other(shape, [=](linnet_options& options) {
                with_int4(options);
                options.kernels = name;
            });
            CHECK(same_bits(expected, last_logits(other.session(), vocabulary, tokens, 70)));
        }
    }
}
