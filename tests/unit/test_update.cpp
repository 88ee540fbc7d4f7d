// Model updates: full and as a difference, taken up after every possible power cut, refused where they must be, and rolled back.
#include <doctest/doctest.h>
#include <sodium.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/base/crc32c.h"
#include "embedded/update/update.h"
#include "platform/fake/fake_device.h"
#include "tests/unit/test_model.h"
#include "tools/update/make_update.h"

using namespace linnet;

namespace {

using Bytes = std::vector<uint8_t>;

struct Keys {
    uint8_t open[crypto_sign_ed25519_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
    explicit Keys(uint8_t seed_byte) {
        uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
        memset(seed, seed_byte, sizeof seed);
        crypto_sign_ed25519_seed_keypair(open, secret, seed);
    }
};
const Keys& trusted() {
    static const Keys keys(1);
    return keys;
}

Bytes random_bytes(size_t count, uint32_t seed) {
    Bytes bytes(count);
    for (uint8_t& byte : bytes) {
        seed = seed * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(seed >> 24);
    }
    return bytes;
}

Bytes update_to(const Bytes& fresh, const Bytes* old, uint64_t release, const Keys& keys = trusted(),
                UpdateReport* report = nullptr) {
    MemoryInput input(fresh);
    MemoryOutput out;
    UpdateReport unused;
    Error error;
    MemoryInput base(old != nullptr ? *old : fresh);
    REQUIRE(make_update(input, old != nullptr ? &base : nullptr, release, keys.secret, out,
                        report != nullptr ? *report : unused, error) == Status::ok);
    return out.bytes;
}

// A board between two starts: all of it but the device is gone at each.
class Board {
public:
    explicit Board(FakeDevice& device) : device_(device) {}

    linnet_status start() {
        return linnet_update_open(memory_, &device_.device(), trusted().open, workspace_, &update, &error);
    }
    // The whole update in pieces of `piece` bytes, from where it was. `resumed`: how many bytes did not have to come again.
    linnet_status take(const Bytes& bytes, size_t piece, uint64_t* resumed = nullptr) {
        uint64_t offset = 0;
        linnet_status status = linnet_update_begin(update, bytes.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &error);
        if (resumed != nullptr) *resumed = offset;
        for (; status == LINNET_OK && offset < bytes.size(); offset += piece) {
            status = linnet_update_feed(update, bytes.data() + offset, std::min<size_t>(piece, bytes.size() - offset), &error);
        }
        return status == LINNET_OK ? linnet_update_finish(update, &error) : status;
    }
    linnet_update_state state() const {
        linnet_update_state all;
        linnet_update_get_state(update, &all);
        return all;
    }
    Bytes model_of(const linnet_update_slot& slot) const {
        const size_t from = static_cast<size_t>(slot.first_block) * device_.device().block_bytes;
        return {device_.bytes().begin() + static_cast<ptrdiff_t>(from),
                device_.bytes().begin() + static_cast<ptrdiff_t>(from + slot.bytes)};
    }

    linnet_update* update = nullptr;
    linnet_error error{};

private:
    FakeDevice& device_;
    alignas(8) uint8_t memory_[LINNET_UPDATE_OBJECT_BYTES];
    alignas(8) uint8_t workspace_[LINNET_UPDATE_WORKSPACE_BYTES];
};

constexpr uint64_t slot_room = 256 << 10;

std::unique_ptr<FakeDevice> device_with(const Bytes& model, uint32_t block_bytes) {
    auto device = std::make_unique<FakeDevice>(block_bytes, (slots_from + 2 * slot_room) / block_bytes);
    Bytes workspace(LINNET_UPDATE_WORKSPACE_BYTES);
    linnet_error error;
    REQUIRE(linnet_update_format(&device->device(), workspace.data(), &error) == LINNET_OK);
    Board board(*device);
    REQUIRE(board.start() == LINNET_OK);
    REQUIRE(board.take(update_to(model, nullptr, 1), 100000) == LINNET_OK);
    REQUIRE(linnet_update_confirm(board.update, &board.error) == LINNET_OK);
    return device;
}

constexpr Torn all_torn[] = {Torn::old, Torn::changed, Torn::half, Torn::noise, Torn::backwards, Torn::unreadable};

// Lives `life` on a device like `first` with the power cut at one write after the other, in every way. Each time the power then comes back
// and a board starts, with a model in its slot: `after` looks at that. Returns the number of cuts. `life` is LINNET_OK when no write was
// cut any more.
uint64_t each_cut(FakeDevice& first, const std::function<linnet_status(Board&)>& life,
                  const std::function<void(Board&, linnet_update_slot)>& after) {
    uint64_t cuts = 0;
    for (const Torn torn : all_torn) {
        for (const bool cache : {false, true}) {
            for (uint64_t number = 1;; ++number, ++cuts) {
                FakeDevice device(first.device().block_bytes, first.device().blocks);
                device.bytes() = first.bytes();
                device.cut_at(number, torn, cache);
                {
                    Board board(device);
                    if (life(board) == LINNET_OK) break;
                    REQUIRE(device.off());
                }
                device.power_on();
                Board board(device);
                linnet_update_slot slot;
                REQUIRE(board.start() == LINNET_OK);
                REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
                after(board, slot);
            }
        }
    }
    return cuts;
}

// A new version of a model: some of it changed, some moved by a block, some added.
Bytes changed(const Bytes& old) {
    Bytes fresh(old.begin(), old.begin() + 70000);
    const Bytes more = random_bytes(5000, 99);
    fresh.insert(fresh.end(), more.begin(), more.end());
    fresh.resize(77824);
    fresh.insert(fresh.end(), old.begin() + 73728, old.end());
    for (size_t i = 120000; i < 121000; ++i) fresh[i] ^= 0x55;
    return fresh;
}

}  // namespace

TEST_CASE("an update brings the new model, in pieces of any size, and the old one stays until it is confirmed") {
    const Bytes old = random_bytes(180001, 7);
    const Bytes fresh = changed(old);
    for (const uint32_t block_bytes : {512u, 4096u, 32768u}) {
        for (const bool difference : {false, true}) {
            for (const size_t piece : {size_t{1}, size_t{777}, size_t{40000}, size_t{1} << 20}) {
                if (piece == 1 && block_bytes != 512) continue;
                auto device = device_with(old, block_bytes);
                Board board(*device);
                linnet_update_slot slot;
                REQUIRE(board.start() == LINNET_OK);
                REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
                CHECK(board.model_of(slot) == old);
                CHECK(board.take(update_to(fresh, difference ? &old : nullptr, 2), piece) == LINNET_OK);
                REQUIRE(board.start() == LINNET_OK);
                REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
                CHECK(slot.release == 2);
                CHECK(board.model_of(slot) == fresh);
                CHECK(board.state().on_trial == 1);
                CHECK(board.model_of(board.state().slots[1 - board.state().active]) == old);
                CHECK(linnet_update_confirm(board.update, &board.error) == LINNET_OK);
                CHECK(board.state().on_trial == 0);
            }
        }
    }
}

TEST_CASE("a difference carries what is new and little more") {
    const Bytes old = random_bytes(180001, 7);
    UpdateReport report;
    const Bytes update = update_to(changed(old), &old, 2, trusted(), &report);
    // Three places changed: at most two blocks of 4096 each, and what was put in.
    CHECK(report.literal_bytes <= 6 * 4096);
    CHECK(report.literal_bytes > 5000);
    CHECK(update.size() < 30000);
    CHECK(update_to(old, &old, 2, trusted(), &report).size() < 1000);
    CHECK(report.literal_bytes == 0);
}

TEST_CASE("a power cut at every write leaves a good model, and the update is taken up and ends well") {
    const Bytes old = random_bytes(180001, 7);
    const Bytes fresh = changed(old);
    const Bytes updates[] = {update_to(fresh, nullptr, 2), update_to(fresh, &old, 2)};
    uint64_t cuts = 0;
    uint64_t taken_up = 0;
    for (const uint32_t block_bytes : {512u, 4096u}) {
        const auto fresh_device = device_with(old, block_bytes);
        for (const Bytes& update : updates) {
            // The whole life of an update: it comes, the board starts, the model confirms.
            const auto life = [&](Board& board) {
                linnet_update_slot slot;
                linnet_status status = board.start();
                if (status == LINNET_OK) status = board.take(update, 5000);
                if (status == LINNET_OK) status = linnet_update_boot(board.update, &slot, &board.error);
                return status == LINNET_OK ? linnet_update_confirm(board.update, &board.error) : status;
            };
            const auto after = [&](Board& board, linnet_update_slot slot) {
                const Bytes model = board.model_of(slot);
                REQUIRE((model == (slot.release == 1 ? old : fresh)));
                REQUIRE((slot.release == 1 || slot.release == 2));
                if (slot.release == 1) {
                    uint64_t resumed = 0;
                    REQUIRE(board.take(update, 5000, &resumed) == LINNET_OK);
                    if (resumed > LINNET_UPDATE_HEADER_BYTES) ++taken_up;
                    REQUIRE(board.start() == LINNET_OK);
                    REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
                }
                REQUIRE(slot.release == 2);
                REQUIRE((board.model_of(slot) == fresh));
                REQUIRE(linnet_update_confirm(board.update, &board.error) == LINNET_OK);
            };
            cuts += each_cut(*fresh_device, life, after);
        }
    }
    CHECK(cuts > 400);
    CHECK(taken_up > 100);
    MESSAGE("power cuts: ", cuts, ", updates taken up in the middle: ", taken_up);
}

TEST_CASE("a power cut at every write of a roll back, and of what comes before and after it, leaves a good model") {
    const Bytes models[] = {random_bytes(50000, 7), random_bytes(60000, 8), random_bytes(70000, 9)};
    const Bytes second = update_to(models[1], &models[0], 2);
    const Bytes third = update_to(models[2], nullptr, 3);
    const auto first_device = device_with(models[0], 512);
    // The second model opens; the third does not, hangs the board once, and is given up.
    const auto life = [&](Board& board) {
        linnet_update_slot slot;
        linnet_status status = board.start();
        if (status == LINNET_OK) status = board.take(second, 5000);
        if (status == LINNET_OK) status = linnet_update_boot(board.update, &slot, &board.error);
        if (status == LINNET_OK) status = linnet_update_confirm(board.update, &board.error);
        if (status == LINNET_OK) status = board.take(third, 5000);
        if (status == LINNET_OK) status = linnet_update_boot(board.update, &slot, &board.error);
        if (status == LINNET_OK) status = board.start();
        if (status == LINNET_OK) status = linnet_update_boot(board.update, &slot, &board.error);
        return status == LINNET_OK ? linnet_update_roll_back(board.update, &board.error) : status;
    };
    const auto after = [&](Board& board, linnet_update_slot slot) {
        REQUIRE(slot.release >= 1);
        REQUIRE(slot.release <= 3);
        REQUIRE((board.model_of(slot) == models[slot.release - 1]));
        if (slot.release != 3) return;
        // On trial still, and there is a model to go back to.
        REQUIRE(linnet_update_roll_back(board.update, &board.error) == LINNET_OK);
        REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
        REQUIRE(slot.release == 2);
        REQUIRE((board.model_of(slot) == models[1]));
    };
    CHECK(each_cut(*first_device, life, after) > 150);
}

TEST_CASE("a power cut at every write of the first update of all leaves a device that takes it") {
    const Bytes model = random_bytes(90000, 7);
    const Bytes update = update_to(model, nullptr, 1);
    uint64_t cuts = 0;
    for (const Torn torn : all_torn) {
        for (uint64_t number = 1;; ++number) {
            FakeDevice device(512, (slots_from + 2 * slot_room) / 512);
            Bytes workspace(LINNET_UPDATE_WORKSPACE_BYTES);
            Board board(device);
            REQUIRE(linnet_update_format(&device.device(), workspace.data(), &board.error) == LINNET_OK);
            device.cut_at(number, torn, false);
            REQUIRE(board.start() == LINNET_OK);
            if (board.take(update, 5000) == LINNET_OK) break;
            ++cuts;
            device.power_on();
            REQUIRE(board.start() == LINNET_OK);
            linnet_update_slot slot;
            if (linnet_update_boot(board.update, &slot, &board.error) != LINNET_OK) {
                REQUIRE(board.take(update, 5000) == LINNET_OK);
                REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
            }
            REQUIRE((board.model_of(slot) == model));
        }
    }
    CHECK(cuts > 40);
}

TEST_CASE("a write that is reported as failed and came through all the same costs no model") {
    const Bytes old = random_bytes(50000, 7);
    const Bytes fresh = random_bytes(120000, 8);
    const Bytes third = update_to(random_bytes(130000, 9), nullptr, 3);
    const Bytes update = update_to(fresh, nullptr, 2);
    const auto fresh_device = device_with(old, 512);
    for (uint64_t number = 1;; ++number) {
        FakeDevice device(512, fresh_device->device().blocks);
        device.bytes() = fresh_device->bytes();
        Board board(device);
        REQUIRE(board.start() == LINNET_OK);
        device.cut_at(number, Torn::changed, false);
        if (board.take(update, 5000) == LINNET_OK) break;
        // Nobody resets the board: the next update begins, and breaks off.
        device.power_on();
        uint64_t offset = 0;
        if (linnet_update_begin(board.update, third.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &board.error) == LINNET_OK)
            REQUIRE(linnet_update_feed(board.update, third.data() + offset, 70000, &board.error) == LINNET_OK);
        linnet_update_slot slot;
        REQUIRE(board.start() == LINNET_OK);
        REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
        REQUIRE((board.model_of(slot) == (slot.release == 1 ? old : fresh)));
    }
}

TEST_CASE("an update that has begun is under way, also after others") {
    const Bytes old = random_bytes(50000, 7);
    for (const size_t bytes : {size_t{20000}, size_t{40000}, size_t{70000}}) {
        auto device = device_with(old, 512);
        Board board(*device);
        uint64_t offset = 0;
        for (uint64_t release = 2; release < 5; ++release) {
            const Bytes update = update_to(random_bytes(bytes, static_cast<uint32_t>(release)), nullptr, release);
            REQUIRE(board.start() == LINNET_OK);
            REQUIRE(linnet_update_begin(board.update, update.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &board.error) ==
                    LINNET_OK);
            REQUIRE(board.start() == LINNET_OK);
            CHECK(board.state().under_way == 1);
            CHECK(board.state().under_way_of == bytes);
            REQUIRE(board.take(update, 5000) == LINNET_OK);
            REQUIRE(linnet_update_confirm(board.update, &board.error) == LINNET_OK);
            REQUIRE(board.start() == LINNET_OK);
            CHECK(board.state().under_way == 0);
        }
    }
}

TEST_CASE("a model that does not open is left for the one before it") {
    const Bytes old = random_bytes(50000, 7);
    const Bytes fresh = random_bytes(60000, 8);
    auto device = device_with(old, 512);
    Board board(*device);
    linnet_update_slot slot;
    REQUIRE(board.start() == LINNET_OK);
    REQUIRE(board.take(update_to(fresh, nullptr, 2), 5000) == LINNET_OK);
    SUBCASE("because the board says so") {
        REQUIRE(board.start() == LINNET_OK);
        REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
        REQUIRE(slot.release == 2);
        CHECK(linnet_update_begin(board.update, update_to(old, nullptr, 3).data(), LINNET_UPDATE_HEADER_BYTES, &slot.bytes,
                                  &board.error) == LINNET_BAD_ARGUMENT);
        REQUIRE(linnet_update_roll_back(board.update, &board.error) == LINNET_OK);
        CHECK(linnet_update_roll_back(board.update, &board.error) == LINNET_BAD_ARGUMENT);
    }
    SUBCASE("because the board hangs and is reset") {
        for (uint32_t i = 0; i < LINNET_UPDATE_TRIES; ++i) {
            REQUIRE(board.start() == LINNET_OK);
            REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
            REQUIRE(slot.release == 2);
        }
    }
    REQUIRE(board.start() == LINNET_OK);
    REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
    CHECK(slot.release == 1);
    CHECK(board.model_of(slot) == old);
    CHECK(board.state().on_trial == 0);
    // And the same update may be tried again.
    CHECK(board.take(update_to(fresh, nullptr, 2), 5000) == LINNET_OK);
}

TEST_CASE("an update that is not to be trusted, or not for this device, changes nothing") {
    const Bytes old = random_bytes(50000, 7);
    const Bytes fresh = random_bytes(60000, 8);
    auto device = device_with(old, 512);
    Board board(*device);
    REQUIRE(board.start() == LINNET_OK);
    const Bytes before = device->bytes();
    Bytes update = update_to(fresh, nullptr, 2);
    const auto refuse = [&](const Bytes& bytes, linnet_status expected) {
        CHECK(board.take(bytes, 5000) == expected);
        CHECK(board.error.text[0] != 0);
        CHECK((device->bytes() == before));
    };
    SUBCASE("signed by somebody else") { refuse(update_to(fresh, nullptr, 2, Keys(2)), LINNET_BAD_FILE); }
    SUBCASE("a bit of its header changed") {
        for (const size_t byte : {size_t{3}, size_t{16}, size_t{24}, size_t{50}, size_t{191}, size_t{200}}) {
            Bytes bad = update;
            bad[byte] ^= 1;
            const linnet_status status = board.take(bad, 5000);
            CHECK(status != LINNET_OK);
            CHECK((device->bytes() == before));
        }
    }
    SUBCASE("not newer") { refuse(update_to(fresh, nullptr, 1), LINNET_BAD_ARGUMENT); }
    SUBCASE("the difference to another model") {
        const Bytes other = random_bytes(50000, 9);
        refuse(update_to(fresh, &other, 2), LINNET_BAD_ARGUMENT);
    }
    SUBCASE("too large") { refuse(update_to(random_bytes(slot_room + 1, 3), nullptr, 2), LINNET_DOES_NOT_FIT); }
    SUBCASE("damaged on the way: found at once, and the model in use stays") {
        for (const size_t byte : {size_t{256}, size_t{270}, size_t{300}, update.size() - 1}) {
            Bytes bad = update;
            bad[byte] ^= 0x10;
            CHECK(board.take(bad, 5000) == LINNET_BAD_FILE);
            linnet_update_slot slot;
            REQUIRE(board.start() == LINNET_OK);
            REQUIRE(linnet_update_boot(board.update, &slot, &board.error) == LINNET_OK);
            CHECK(board.model_of(slot) == old);
        }
        CHECK(board.take(update, 5000) == LINNET_OK);
    }
    SUBCASE("a full one, signed, that names a base to copy from") {
        UpdateHeader header;
        memcpy(&header, update.data(), sizeof header);
        header.old_bytes = UINT64_MAX;
        const SignedMessage message(header);
        crypto_sign_ed25519_detached(header.signature, nullptr, message.bytes, sizeof message.bytes, trusted().secret);
        memcpy(update.data(), &header, sizeof header);
        refuse(update, LINNET_BAD_FILE);
    }
    SUBCASE("a difference to a model that the storage has damaged: the sentence says what helps") {
        Bytes longer = old;
        longer.resize(old.size() + 5000, 3);
        const Bytes difference = update_to(longer, &old, 2);
        const linnet_update_slot active = board.state().slots[board.state().active];
        for (size_t i = 0; i < 4096; i += 64) device->bytes()[static_cast<size_t>(active.first_block) * 512 + i] ^= 1;
        CHECK(board.take(difference, 5000) == LINNET_BAD_FILE);
        CHECK(std::string(board.error.text).find("full update") != std::string::npos);
    }
    SUBCASE("records with right checksums that ask for what is not there") {
        const Bytes difference = update_to(fresh, &old, 2);
        const auto hostile = [&](UpdateAction action, uint32_t bytes, uint64_t old_offset) {
            UpdateRecord record{static_cast<uint32_t>(action), bytes, old_offset, 0, 0};
            record.record_crc = crc32c(0, &record, offsetof(UpdateRecord, record_crc));
            Bytes bad(difference.begin(), difference.begin() + LINNET_UPDATE_HEADER_BYTES);
            const auto* from = reinterpret_cast<const uint8_t*>(&record);
            bad.insert(bad.end(), from, from + sizeof record);
            bad.resize(bad.size() + 100000);
            CHECK(board.take(bad, 5000) == LINNET_BAD_FILE);
            CHECK(board.state().slots[board.state().active].release == 1);
        };
        hostile(UpdateAction::literal, 0, 0);
        hostile(UpdateAction::literal, update_window + 1, 0);
        hostile(UpdateAction::literal, UINT32_MAX, 0);
        hostile(UpdateAction::copy, 4096, old.size() - 4095);
        hostile(UpdateAction::copy, 4096, UINT64_MAX - 10);
        hostile(UpdateAction{0}, 4096, 0);
        hostile(UpdateAction{3}, 4096, 0);
    }
    SUBCASE("storage that changes what was written: found before the switch") {
        uint64_t offset = 0;
        REQUIRE(linnet_update_begin(board.update, update.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &board.error) ==
                LINNET_OK);
        REQUIRE(linnet_update_feed(board.update, update.data() + offset, update.size() - offset, &board.error) == LINNET_OK);
        const linnet_update_slot spare = board.state().slots[1 - board.state().active];
        device->bytes()[static_cast<size_t>(spare.first_block) * 512 + 1234] ^= 1;
        CHECK(linnet_update_finish(board.update, &board.error) == LINNET_BAD_FILE);
        CHECK(board.state().slots[board.state().active].release == 1);
        CHECK(board.take(update, 5000) == LINNET_OK);
    }
    SUBCASE("not complete") {
        uint64_t offset = 0;
        REQUIRE(linnet_update_begin(board.update, update.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &board.error) ==
                LINNET_OK);
        REQUIRE(linnet_update_feed(board.update, update.data() + offset, 40000, &board.error) == LINNET_OK);
        CHECK(linnet_update_finish(board.update, &board.error) == LINNET_BAD_ARGUMENT);
    }
}

TEST_CASE("a device without two slots says so") {
    FakeDevice device(512, 10000);
    Board board(device);
    CHECK(board.start() == LINNET_BAD_FILE);
    FakeDevice small(512, 2048);
    Board other(small);
    CHECK(other.start() == LINNET_DOES_NOT_FIT);
}

TEST_CASE("a device of another size than it was formatted with is not taken for one whose slots are elsewhere") {
    const auto device = device_with(random_bytes(50000, 7), 512);
    for (const uint64_t blocks : {device->device().blocks * 2, device->device().blocks - 128}) {
        FakeDevice other(512, blocks);
        std::copy_n(device->bytes().begin(), std::min(device->bytes().size(), other.bytes().size()), other.bytes().begin());
        Board board(other);
        CHECK(board.start() == LINNET_BAD_FILE);
        CHECK(std::string(board.error.text).find("size") != std::string::npos);
    }
}
