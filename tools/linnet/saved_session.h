// A session kept in a file between two runs of `chat` or `run` (--session): what the core's snapshot has, keys and values with it, and
// behind that what only the command knows: which text or which messages the tokens are.
//
//     the snapshot, as core/session/snapshot.h says it
//     JSON: { "kind": "chat" or "text", "system": …, "messages": [{ "role", "content" }…], "pending": [token…] }
//     u32 CRC-32C of the JSON, u32 its length, 8 bytes "LINTALK\n"
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/linnet/loaded_model.h"

namespace linnet {

struct ChatMessage {
    uint32_t role;
    std::string text;
};

struct SavedSession {
    bool chat = false;                  // or a text that goes on
    std::string system;                 // how the model is to behave
    std::vector<ChatMessage> messages;  // without the system's
    std::vector<int32_t> history;       // tokens of all of it; empty where they have to be made from the messages
};

// Refuses a name that stands for something else than a session of ours: the model itself, a folder. Before the model is loaded.
void check_session_path(const std::string& path, const std::string& model);

// Into the model's session. False: there is no such file yet, or it is empty. Throws a Failure where it cannot be used: another
// model's, damaged, of the other kind.
bool load_session(const std::string& path, LoadedModel& model, bool chat, SavedSession& saved);

// The file is replaced when the new one is whole. Throws a Failure; the old file then is as it was. What the model's session holds
// beyond `history` is forgotten.
void save_session(const std::string& path, LoadedModel& model, const SavedSession& saved);

}  // namespace linnet
