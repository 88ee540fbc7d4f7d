#include "tools/linnet/saved_session.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/crc32c.h"
#include "platform/posix/file.h"
#include "tools/linnet/command.h"
#include "tools/linnet/files.h"

namespace linnet {

namespace {

constexpr char magic[8] = {'L', 'I', 'N', 'T', 'A', 'L', 'K', '\n'};

struct Trailer {
    uint32_t crc;
    uint32_t bytes;
    char magic[8];
};

[[noreturn]] void refuse(const std::string& path, int code, const std::string& why) {
    throw Failure(code, "Cannot go on with \"" + path + "\": " + why);
}

[[noreturn]] void damaged(const std::string& path) {
    refuse(path, exit_bad_input, "it is damaged, or no session that linnet has saved. Choose another file, or remove it.");
}

struct Source {
    ReadOnlyFile file;
    uint64_t offset = 0;
};

// What the JSON says, if all of it is as it was written.
bool parse(const std::string& text, SavedSession& saved, std::vector<int32_t>& pending) {
    const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return false;
    const auto string_of = [](const nlohmann::json& from, const char* name, std::string& to) {
        const auto found = from.find(name);
        if (found == from.end() || !found->is_string()) return false;
        to = found->get<std::string>();
        return true;
    };
    std::string kind;
    if (!string_of(json, "kind", kind) || (kind != "chat" && kind != "text")) return false;
    saved.chat = kind == "chat";
    if (!string_of(json, "system", saved.system)) return false;
    const auto messages = json.find("messages");
    const auto tokens = json.find("pending");
    if (messages == json.end() || !messages->is_array() || tokens == json.end() || !tokens->is_array()) return false;
    for (const nlohmann::json& message : *messages) {
        ChatMessage one{LINNET_ROLE_USER, ""};
        std::string role;
        if (!message.is_object() || !string_of(message, "role", role) || !string_of(message, "content", one.text)) return false;
        // A question, an answer, a question, an answer.
        const bool question = saved.messages.size() % 2 == 0;
        if (role != (question ? "user" : "assistant")) return false;
        if (!question) one.role = LINNET_ROLE_ASSISTANT;
        saved.messages.push_back(std::move(one));
    }
    for (const nlohmann::json& token : *tokens) {
        if (!token.is_number_unsigned() || token.get<uint64_t>() > INT32_MAX) return false;
        pending.push_back(token.get<int32_t>());
    }
    return saved.messages.size() % 2 == 0;
}

}  // namespace

void check_session_path(const std::string& path, const std::string& model) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return;
        refuse(path, exit_bad_input, std::string(strerror(errno)) + ".");
    }
    if (!S_ISREG(status.st_mode)) refuse(path, exit_usage, "it is no regular file.");
    refuse_same_file(model, path);
}

bool load_session(const std::string& path, LoadedModel& model, bool chat, SavedSession& saved) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0 && errno == ENOENT) return false;
    Source source;
    std::string problem;
    if (!source.file.open(path, problem)) throw Failure(exit_bad_input, problem);
    const uint64_t size = source.file.size();
    if (size == 0) return false;
    Trailer trailer{};
    if (size < sizeof trailer || source.file.read(size - sizeof trailer, &trailer, sizeof trailer) != 0 ||
        memcmp(trailer.magic, magic, sizeof magic) != 0 || trailer.bytes > size - sizeof trailer) {
        damaged(path);
    }
    const uint64_t snapshot = size - sizeof trailer - trailer.bytes;
    std::string text(trailer.bytes, '\0');
    std::vector<int32_t> pending;
    if (source.file.read(snapshot, text.data(), text.size()) != 0 || crc32c(0, text.data(), text.size()) != trailer.crc ||
        !parse(text, saved, pending)) {
        damaged(path);
    }
    if (saved.chat != chat) {
        refuse(path, exit_usage,
               saved.chat ? "it holds a conversation. \"linnet chat\" goes on with it, or \"linnet run --chat\"."
                          : "it holds a text and no conversation. \"linnet run\" without --chat goes on with it.");
    }
    linnet_error error;
    const linnet_status result = linnet_snapshot_restore(
        model.session(), snapshot,
        [](void* context, void* bytes, size_t count) -> int32_t {
            Source& from = *static_cast<Source*>(context);
            const int32_t code = from.file.read(from.offset, bytes, count);
            from.offset += count;
            return code;
        },
        &source, &error);
    if (result != LINNET_OK) refuse(path, exit_code(static_cast<Status>(result)), error.text);
    for (const int32_t token : pending) {
        if (static_cast<uint32_t>(token) >= model.info().vocabulary) damaged(path);
    }
    saved.history.assign(linnet_tokens(model.session()), linnet_tokens(model.session()) + linnet_length(model.session()));
    saved.history.insert(saved.history.end(), pending.begin(), pending.end());
    return true;
}

void save_session(const std::string& path, LoadedModel& model, const SavedSession& saved) {
    linnet_session* session = model.session();
    const size_t length = linnet_length(session);
    const int32_t* held = linnet_tokens(session);
    const auto same = std::mismatch(held, held + length, saved.history.begin(), saved.history.end()).first - held;
    linnet_error failure;
    require(linnet_rewind(session, static_cast<uint32_t>(same), &failure), failure);

    nlohmann::ordered_json json = {{"kind", saved.chat ? "chat" : "text"}, {"system", saved.system}};
    json["messages"] = nlohmann::ordered_json::array();
    for (const ChatMessage& message : saved.messages) {
        const char* role = message.role == LINNET_ROLE_ASSISTANT ? "assistant" : "user";
        json["messages"].push_back({{"role", role}, {"content", message.text}});
    }
    json["pending"] = std::vector<int32_t>(saved.history.begin() + same, saved.history.end());
    const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    Trailer trailer{crc32c(0, text.data(), text.size()), static_cast<uint32_t>(text.size()), {}};
    memcpy(trailer.magic, magic, sizeof magic);

    struct Target {
        OutputFile file;
        Error error;
    } target{OutputFile(path), {}};
    require(target.file.expect(linnet_snapshot_bytes(session) + text.size() + sizeof trailer, target.error), target.error);
    const linnet_status status = linnet_snapshot_save(
        session,
        [](void* context, const void* bytes, size_t count) -> int32_t {
            Target& to = *static_cast<Target*>(context);
            return to.file.write(bytes, count, to.error) == Status::ok ? 0 : 1;
        },
        &target, &failure);
    require(target.error.status(), target.error);
    require(status, failure);
    require(target.file.write(text.data(), text.size(), target.error), target.error);
    require(target.file.write(&trailer, sizeof trailer, target.error), target.error);
    target.file.finish();
}

}  // namespace linnet
