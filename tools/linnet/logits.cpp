// linnet logits: the numbers themselves, for comparison with other implementations and between targets.
#include <sodium.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/interrupts.h"
#include "tools/linnet/loaded_model.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"

namespace linnet {

namespace {

struct LogitsChoices {
    ModelChoices model;
    std::string tokens;
    std::string out;
    bool hash = false;
    bool last = false;
    bool json = false;
};

void logits(const LogitsChoices& choices) {
    if (choices.out.empty() && !choices.hash && !choices.json) {
        throw Failure(exit_usage, "Give --out FILE for the logits, or --hash for their SHA-256, or both.");
    }
    const std::vector<int32_t> tokens = parse_token_list(choices.tokens, "--tokens");
    LoadedModel model(choices.model);
    if (choices.model.context == 0 && tokens.size() > model.plan().context) {
        model.set_context(static_cast<uint32_t>(std::min<size_t>(tokens.size(), UINT32_MAX)));
    }
    model.load();

    struct Sink {
        std::optional<OutputFile> file;
        crypto_hash_sha256_state hash;
        size_t row_bytes = 0;
        uint32_t from = 0;
        uint64_t rows = 0;
        Status status = Status::ok;
        Error error;

        void take(uint32_t position, const float* row) {
            if (position < from || status != Status::ok) return;
            crypto_hash_sha256_update(&hash, reinterpret_cast<const unsigned char*>(row), row_bytes);
            if (file) status = file->write(row, row_bytes, error);
            ++rows;
        }
    } sink;
    crypto_hash_sha256_init(&sink.hash);
    sink.row_bytes = size_t{model.info().vocabulary} * sizeof(float);
    sink.from = choices.last ? static_cast<uint32_t>(tokens.size() - 1) : 0;
    if (!choices.out.empty()) {
        sink.file.emplace(choices.out);
        require(sink.file->expect((tokens.size() - sink.from) * sink.row_bytes, sink.error), sink.error);
    }
    linnet_error error;
    linnet_status status;
    {
        const StopOnInterrupt stop(model.posix());
        // In one call, so that a LongRoPE model past its original context uses one table for all rows.
        status = linnet_evaluate_all(
            model.session(), tokens.data(), tokens.size(),
            [](void* context, uint32_t position, const float* row) { static_cast<Sink*>(context)->take(position, row); }, &sink,
            &error);
    }
    if (status == LINNET_CANCELLED) throw Failure(exit_cancelled, "");
    model.require_platform(status, error);
    require(sink.status, sink.error);
    if (sink.file) sink.file->finish();

    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&sink.hash, digest);
    const std::string hex = format_hex(digest, sizeof digest);
    if (choices.json) {
        const nlohmann::ordered_json out = {{"sha256", hex},
                                            {"rows", sink.rows},
                                            {"columns", model.info().vocabulary},
                                            {"bytes", sink.rows * sink.row_bytes},
                                            {"kernels", model.info().kernels},
                                            {"threads", model.threads()}};
        print(out.dump(2) + "\n");
    } else if (choices.hash) {
        print(hex + "\n");
    }
}

}  // namespace

void add_logits(CLI::App& app) {
    auto choices = std::make_shared<LogitsChoices>();
    CLI::App& command = *app.add_subcommand("logits", "Write the logits of given tokens, or their hash");
    add_model_choices(command, choices->model);
    command.add_option("--tokens", choices->tokens, "Token ids: 1,2,3, or @FILE with ids in it")->type_name("IDS")->required();
    command
        .add_option("--out", choices->out,
                    "Where the logits go: float32, little-endian, a row of the vocabulary's size a token")
        ->type_name("FILE");
    command.add_flag("--hash", choices->hash, "Print the SHA-256 of those bytes");
    command.add_flag("--last", choices->last, "Only the row of the last token");
    command.add_flag("--json", choices->json, "Print one JSON object: hash, rows, columns");
    command.footer(
        "The bytes are the same for every kernel family, thread count, batch size and memory plan.\n"
        "The tokens are evaluated as they are: nothing is put before them.\n"
        "Example:\n  linnet logits model.linnet --tokens 1,15043,3186 --out logits.f32 --hash");
    command.callback([choices] { logits(*choices); });
}

}  // namespace linnet
