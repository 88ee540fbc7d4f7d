#include "tools/update/make_update.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/crc32c.h"

namespace linnet {

namespace {

// What of the old model is found again: runs of whole blocks at multiples of this. The sections and layers of a .linnet file begin at
// such multiples, so that a layer that has not changed is found wherever it has moved to.
constexpr uint64_t block = 4096;

uint64_t key_of(const uint8_t* bytes) { return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes), block}); }

// The old model: where its blocks are, and whether one is really the same.
class Old {
public:
    explicit Old(Input* input) : input_(input) {}
    uint64_t size() const { return input_ != nullptr ? input_->size() : 0; }

    Status index(uint8_t* hash, Error& error) {
        if (input_ == nullptr) return Status::ok;
        crypto_hash_sha256_state sha;
        crypto_hash_sha256_init(&sha);
        places_.reserve(static_cast<size_t>(size() / block));
        for (uint64_t offset = 0; offset < size(); offset += block) {
            const size_t count = static_cast<size_t>(std::min(block, size() - offset));
            if (Status status = input_->read(offset, bytes_.data(), count, error); status != Status::ok) return status;
            crypto_hash_sha256_update(&sha, bytes_.data(), count);
            if (count == block) places_.emplace(key_of(bytes_.data()), offset);
        }
        crypto_hash_sha256_final(&sha, hash);
        return Status::ok;
    }

    // Whether `count` bytes at `offset` are these.
    Status same(uint64_t offset, const uint8_t* bytes, size_t count, bool& answer, Error& error) {
        answer = false;
        if (offset > size() || count > size() - offset) return Status::ok;
        if (Status status = input_->read(offset, bytes_.data(), count, error); status != Status::ok) return status;
        answer = memcmp(bytes_.data(), bytes, count) == 0;
        return Status::ok;
    }
    // Where a whole block is; UINT64_MAX: nowhere that is known.
    uint64_t place(const uint8_t* bytes) const {
        const auto found = places_.find(key_of(bytes));
        return found == places_.end() ? UINT64_MAX : found->second;
    }

private:
    Input* input_;
    std::unordered_map<uint64_t, uint64_t> places_;
    std::vector<uint8_t> bytes_ = std::vector<uint8_t>(block);
};

// The records of one window of the new model: runs of blocks that the old one has, and the rest.
Status cut_window(Old& old, const uint8_t* window, uint64_t count, uint64_t new_offset, std::vector<UpdateRecord>& records,
                  Error& error) {
    UpdateRecord run{};
    uint64_t begin = 0;  // of the run
    const auto close = [&](uint64_t end) {
        if (end == begin) return;
        run.bytes = static_cast<uint32_t>(end - begin);
        run.crc = crc32c(0, window + begin, run.bytes);
        run.record_crc = crc32c(0, &run, offsetof(UpdateRecord, record_crc));
        records.push_back(run);
        begin = end;
    };
    const auto is_copy = [&] { return run.action == static_cast<uint32_t>(UpdateAction::copy); };
    for (uint64_t at = 0; at < count; at += block) {
        const size_t bytes = static_cast<size_t>(std::min(block, count - at));
        // First where the run goes on, then the same place, then wherever such a block is.
        const uint64_t candidates[] = {is_copy() ? run.old_offset + (at - begin) : UINT64_MAX, new_offset + at,
                                       bytes == block ? old.place(window + at) : UINT64_MAX};
        uint64_t found = UINT64_MAX;
        for (const uint64_t candidate : candidates) {
            bool same = false;
            if (candidate == UINT64_MAX || old.size() == 0) continue;
            if (Status status = old.same(candidate, window + at, bytes, same, error); status != Status::ok) return status;
            if (!same) continue;
            found = candidate;
            break;
        }
        const bool goes_on =
            at != begin && (found == UINT64_MAX ? !is_copy() : is_copy() && found == run.old_offset + (at - begin));
        if (goes_on) continue;
        close(at);
        run.action = static_cast<uint32_t>(found == UINT64_MAX ? UpdateAction::literal : UpdateAction::copy);
        run.old_offset = found == UINT64_MAX ? 0 : found;
    }
    close(count);
    return Status::ok;
}

}  // namespace

Status make_update(Input& new_model, Input* old_model, uint64_t release, const uint8_t* secret_key, Output& out,
                   UpdateReport& report, Error& error) {
    report = {};
    UpdateHeader& header = report.header;
    memcpy(header.magic, update_magic, sizeof header.magic);
    header.version = update_version;
    header.kind = static_cast<uint32_t>(old_model != nullptr ? UpdateKind::difference : UpdateKind::full);
    header.release = release;
    header.new_bytes = new_model.size();
    Old old(old_model);
    header.old_bytes = old.size();
    if (Status status = old.index(header.old_hash, error); status != Status::ok) return status;

    std::vector<UpdateRecord> records;
    std::vector<uint8_t> window(update_window);
    crypto_hash_sha256_state sha;
    crypto_hash_sha256_init(&sha);
    for (uint64_t offset = 0; offset < header.new_bytes; offset += update_window) {
        const size_t count = static_cast<size_t>(std::min<uint64_t>(update_window, header.new_bytes - offset));
        Status status = new_model.read(offset, window.data(), count, error);
        if (status == Status::ok) status = cut_window(old, window.data(), count, offset, records, error);
        if (status != Status::ok) return status;
        crypto_hash_sha256_update(&sha, window.data(), count);
    }
    crypto_hash_sha256_final(&sha, header.new_hash);

    header.total_bytes = sizeof header;
    for (const UpdateRecord& record : records) {
        const bool literal = record.action == static_cast<uint32_t>(UpdateAction::literal);
        (literal ? report.literal_bytes : report.copied_bytes) += record.bytes;
        header.total_bytes += sizeof record + (literal ? record.bytes : 0);
    }
    const SignedMessage message(header);
    crypto_sign_ed25519_detached(header.signature, nullptr, message.bytes, sizeof message.bytes, secret_key);

    if (Status status = out.write(&header, sizeof header, error); status != Status::ok) return status;
    uint64_t offset = 0;
    for (const UpdateRecord& record : records) {
        if (Status status = out.write(&record, sizeof record, error); status != Status::ok) return status;
        if (record.action == static_cast<uint32_t>(UpdateAction::literal)) {
            Status status = new_model.read(offset, window.data(), record.bytes, error);
            if (status == Status::ok && crc32c(0, window.data(), record.bytes) != record.crc) {
                return error.fail(Status::io) << "The new model has changed while the update was made. Make it again.";
            }
            if (status == Status::ok) status = out.write(window.data(), record.bytes, error);
            if (status != Status::ok) return status;
        }
        offset += record.bytes;
    }
    return Status::ok;
}

}  // namespace linnet
