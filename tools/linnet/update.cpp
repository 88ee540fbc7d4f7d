// linnet update: signed model updates for devices with two slots (embedded/update): keys, making one, and a device in a file.
#include "embedded/update/update.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/linnet/command.h"
#include "tools/linnet/files.h"
#include "tools/linnet/sizes.h"
#include "tools/linnet/terminal.h"
#include "tools/update/make_update.h"

namespace linnet {

namespace {

// A key file is one line of hexadecimal digits.
std::vector<uint8_t> read_key(const std::string& path, size_t bytes, const char* what) {
    const std::string text = read_whole_file(path);
    std::vector<uint8_t> key(bytes);
    size_t got = 0;
    const char* end = nullptr;
    if (sodium_hex2bin(key.data(), key.size(), text.data(), text.size(), "\n\r ", &got, &end) != 0 || got != bytes ||
        end != text.data() + text.size()) {
        throw Failure(exit_bad_input, "\"" + path + "\" is no " + what + " key: linnet update keys makes a pair of them.");
    }
    return key;
}

void write_text(const std::string& path, const std::string& text, mode_t mode) {
    const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    const bool written = descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int number = errno;
    if (descriptor >= 0) close(descriptor);
    if (!written) throw Failure(exit_bad_input, "Cannot write \"" + path + "\": " + strerror(number) + ".");
}

void make_keys(const std::string& path) {
    uint8_t open_key[crypto_sign_ed25519_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_keypair(open_key, secret_key);
    write_text(path, format_hex(secret_key, sizeof secret_key) + "\n", 0600);
    write_text(path + ".pub", format_hex(open_key, sizeof open_key) + "\n", 0644);
    print("Wrote " + path + ", which signs updates: keep it secret. Wrote " + path + ".pub, which devices are given.\n");
}

struct MakeChoices {
    std::string model;
    std::string out;
    std::string from;
    std::string key;
    uint64_t release = 0;
    bool json = false;
};

// One file as the tools read it. It lives in the folder object.
struct OneFile {
    FileFolder folder;
    Input* input = nullptr;

    explicit OneFile(const std::string& path) : folder(find_source(path).folder) {
        Error error;
        require(folder.open(find_source(path).main, input, error), error);
        if (input == nullptr) throw Failure(exit_bad_input, "\"" + path + "\" is no file.");
    }
};

void make(const MakeChoices& choices) {
    const std::vector<uint8_t> key = read_key(choices.key, crypto_sign_ed25519_SECRETKEYBYTES, "secret");
    refuse_same_file(choices.model, choices.out);
    OneFile fresh(choices.model);
    std::optional<OneFile> old;
    if (!choices.from.empty()) {
        refuse_same_file(choices.from, choices.out);
        old.emplace(choices.from);
    }
    OutputFile out(choices.out);
    UpdateReport report;
    Error error;
    require(make_update(*fresh.input, old ? old->input : nullptr, choices.release, key.data(), out, report, error), error);
    out.finish();
    if (choices.json) {
        const nlohmann::ordered_json json = {{"release", report.header.release},
                                             {"kind", old ? "difference" : "full"},
                                             {"model_bytes", report.header.new_bytes},
                                             {"update_bytes", report.header.total_bytes},
                                             {"copied_bytes", report.copied_bytes},
                                             {"sha256", format_hex(report.header.new_hash, sizeof report.header.new_hash)}};
        print(json.dump(2) + "\n");
        return;
    }
    print(for_terminal("Wrote " + choices.out + ": release " + std::to_string(report.header.release) + ", a model of " +
                       format_bytes(report.header.new_bytes) + " in " + format_bytes(report.header.total_bytes) + ".\n"));
}

// A device with two slots in a file, or a block device of this machine.
class DeviceFile {
public:
    DeviceFile(const std::string& path, uint32_t block_bytes) : path_(path) {
        descriptor_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
        const off_t bytes = descriptor_ >= 0 ? lseek(descriptor_, 0, SEEK_END) : -1;
        if (bytes < 0) {
            const int number = errno;
            if (descriptor_ >= 0) close(descriptor_);
            throw Failure(exit_bad_input, "Cannot open the device \"" + path + "\": " + strerror(number) + ".");
        }
        device_.context = this;
        device_.block_bytes = block_bytes;
        device_.blocks = static_cast<uint64_t>(bytes) / block_bytes;
        device_.read = read;
        device_.write = write;
        device_.sync = [](void* context) { return fsync(static_cast<DeviceFile*>(context)->descriptor_) == 0 ? 0 : errno; };
    }
    ~DeviceFile() { close(descriptor_); }
    DeviceFile(const DeviceFile&) = delete;
    DeviceFile& operator=(const DeviceFile&) = delete;

    const linnet_block_device& device() const { return device_; }

private:
    static int32_t read(void* context, uint64_t first, void* to, uint32_t count) {
        const DeviceFile& self = *static_cast<DeviceFile*>(context);
        const uint64_t size = self.device_.block_bytes;
        return read_fully(self.descriptor_, first * size, to, static_cast<size_t>(count * size));
    }
    static int32_t write(void* context, uint64_t first, const void* from, uint32_t count) {
        const DeviceFile& self = *static_cast<DeviceFile*>(context);
        const uint64_t size = self.device_.block_bytes;
        return write_fully(self.descriptor_, first * size, from, static_cast<size_t>(count * size));
    }

    std::string path_;
    int descriptor_ = -1;
    linnet_block_device device_{};
};

struct ApplyChoices {
    std::string device;
    std::string update;
    std::string key;
    uint32_t block_bytes = 512;
    std::string format_bytes;
    bool confirm = false;
    bool roll_back = false;
    bool json = false;
};

struct OpenDevice {
    DeviceFile file;
    std::vector<uint8_t> key;
    alignas(8) uint8_t memory[LINNET_UPDATE_OBJECT_BYTES];
    std::vector<uint64_t> workspace = std::vector<uint64_t>(LINNET_UPDATE_WORKSPACE_BYTES / 8);
    linnet_update* update = nullptr;

    OpenDevice(const std::string& path, uint32_t block_bytes, const std::string& key_path) : file(path, block_bytes) {
        if (!key_path.empty()) key = read_key(key_path, crypto_sign_ed25519_PUBLICKEYBYTES, "public");
    }
    void open() {
        linnet_error error;
        require(
            linnet_update_open(memory, &file.device(), key.empty() ? nullptr : key.data(), workspace.data(), &update, &error),
            error);
    }
};

void check_block(uint32_t block_bytes) {
    if (block_bytes < 512 || block_bytes > 32768 || (block_bytes & (block_bytes - 1)) != 0) {
        throw Failure(exit_usage, "--block: " + std::to_string(block_bytes) + " is no power of two from 512 to 32768.");
    }
}

void apply(const ApplyChoices& choices) {
    check_block(choices.block_bytes);
    OpenDevice device(choices.device, choices.block_bytes, choices.key);
    device.open();
    OneFile in(choices.update);
    std::vector<uint8_t> piece(65536);
    linnet_error error;
    Error reading;
    if (in.input->size() < LINNET_UPDATE_HEADER_BYTES)
        throw Failure(exit_bad_input, "\"" + choices.update + "\" is no update.");
    require(in.input->read(0, piece.data(), LINNET_UPDATE_HEADER_BYTES, reading), reading);
    uint64_t offset = 0;
    require(linnet_update_begin(device.update, piece.data(), LINNET_UPDATE_HEADER_BYTES, &offset, &error), error);
    if (offset > LINNET_UPDATE_HEADER_BYTES) note("Going on at byte " + std::to_string(offset) + " of the update.");
    while (offset < in.input->size()) {
        const size_t count = static_cast<size_t>(std::min<uint64_t>(piece.size(), in.input->size() - offset));
        require(in.input->read(offset, piece.data(), count, reading), reading);
        require(linnet_update_feed(device.update, piece.data(), count, &error), error);
        offset += count;
    }
    require(linnet_update_finish(device.update, &error), error);
    print("The update is in place. The device takes its model at the next start, on trial until the model has opened.\n");
}

void show(const ApplyChoices& choices) {
    check_block(choices.block_bytes);
    OpenDevice device(choices.device, choices.block_bytes, {});
    device.open();
    linnet_error error;
    if (choices.confirm) require(linnet_update_confirm(device.update, &error), error);
    if (choices.roll_back) require(linnet_update_roll_back(device.update, &error), error);
    linnet_update_state state;
    linnet_update_get_state(device.update, &state);
    nlohmann::ordered_json json = {{"active", state.active},
                                   {"on_trial", state.on_trial != 0},
                                   {"tries", state.tries},
                                   {"slot_bytes", state.slot_bytes},
                                   {"slots", nlohmann::ordered_json::array()},
                                   {"under_way_bytes", state.under_way != 0 ? state.under_way_bytes : 0}};
    for (const linnet_update_slot& slot : state.slots) {
        json["slots"].push_back({{"offset", slot.first_block * choices.block_bytes},
                                 {"bytes", slot.bytes},
                                 {"release", slot.release},
                                 {"sha256", slot.bytes != 0 ? format_hex(slot.hash, sizeof slot.hash) : ""}});
    }
    if (choices.json) {
        print(json.dump(2) + "\n");
        return;
    }
    for (uint32_t i = 0; i < 2; ++i) {
        const linnet_update_slot& slot = state.slots[i];
        std::string line = "slot " + std::to_string(i) + ": ";
        line += slot.bytes == 0 ? "empty"
                                : "release " + std::to_string(slot.release) + ", " + format_bytes(slot.bytes) + " from byte " +
                                      std::to_string(slot.first_block * choices.block_bytes) + " on";
        if (i == state.active && slot.bytes != 0) line += state.on_trial != 0 ? ", in use, on trial" : ", in use";
        print(line + "\n");
    }
    if (state.under_way != 0) {
        print("An update is under way: " + format_bytes(state.under_way_bytes) + " of " + format_bytes(state.under_way_of) +
              ".\n");
    }
}

void format(const ApplyChoices& choices) {
    check_block(choices.block_bytes);
    const uint64_t bytes = choices.format_bytes.empty() ? 0 : parse_size(choices.format_bytes, "--bytes");
    const int descriptor = open(choices.device.c_str(), O_RDWR | (bytes != 0 ? O_CREAT : 0) | O_CLOEXEC, 0644);
    if (descriptor < 0 || (bytes != 0 && ftruncate(descriptor, static_cast<off_t>(bytes)) != 0)) {
        const int number = errno;
        if (descriptor >= 0) close(descriptor);
        throw Failure(exit_bad_input, "Cannot make \"" + choices.device + "\": " + strerror(number) + ".");
    }
    close(descriptor);
    DeviceFile device(choices.device, choices.block_bytes);
    std::vector<uint64_t> workspace(LINNET_UPDATE_WORKSPACE_BYTES / 8);
    linnet_error error;
    require(linnet_update_format(&device.device(), workspace.data(), &error), error);
    print("The device has two empty slots.\n");
}

CLI::App& add(CLI::App& to, const char* name, const char* what) { return *to.add_subcommand(name, what); }

}  // namespace

void add_update(CLI::App& app) {
    CLI::App& update = *app.add_subcommand("update", "Signed model updates for devices with two slots");
    update.require_subcommand(1);
    update.footer(
        "Example:\n"
        "  linnet update keys signing.key\n"
        "  linnet update make v1.linnet v1.update --release 1 --key signing.key\n"
        "  linnet update make v2.linnet v2.update --release 2 --key signing.key --from v1.linnet\n"
        "  linnet update format device.img --bytes 64MB && linnet update apply device.img v1.update --key signing.key.pub\n"
        "A device's own program does the last step with embedded/update/update.h.");

    auto path = std::make_shared<std::string>();
    CLI::App& keys = add(update, "keys", "Make a pair of keys: FILE signs updates, FILE.pub is given to devices");
    keys.add_option("FILE", *path, "Where they go; must not be there yet")->required();
    keys.callback([path] { make_keys(*path); });

    auto making = std::make_shared<MakeChoices>();
    CLI::App& maker = add(update, "make", "Make an update to a model: all of it, or what differs from the one before");
    maker.add_option("MODEL", making->model, "The new .linnet file")->required();
    maker.add_option("OUT", making->out, "The update")->required();
    maker.add_option("--key", making->key, "The secret key that signs it")->type_name("FILE")->required();
    maker.add_option("--release", making->release, "Its number; devices take only larger ones than they have")
        ->type_name("N")
        ->required();
    maker.add_option("--from", making->from, "The model that devices have: only what differs from it is in the update")
        ->type_name("FILE");
    maker.add_flag("--json", making->json, "Print one JSON object");
    maker.callback([making] { make(*making); });

    auto applying = std::make_shared<ApplyChoices>();
    const auto common = [applying](CLI::App& command) {
        command.add_option("DEVICE", applying->device, "A file or a block device with two slots")->required();
        command.add_option("--block", applying->block_bytes, "Bytes of a block of the device (512)")->type_name("N");
    };
    CLI::App& formatter = add(update, "format", "Give a device two empty slots; what is on it is lost");
    common(formatter);
    formatter.add_option("--bytes", applying->format_bytes, "Make DEVICE a file of this size, like 64MB")->type_name("BYTES");
    formatter.callback([applying] { format(*applying); });
    CLI::App& applier = add(update, "apply", "Put an update onto a device, or go on with one that broke off");
    common(applier);
    applier.add_option("UPDATE", applying->update, "What linnet update make wrote")->required();
    applier.add_option("--key", applying->key, "The public key that it must be signed with")->type_name("FILE")->required();
    applier.callback([applying] { apply(*applying); });
    CLI::App& shower = add(update, "show", "Say what is on a device");
    common(shower);
    shower.add_flag("--confirm", applying->confirm, "First confirm the model on trial");
    shower.add_flag("--roll-back", applying->roll_back, "First go back from the model on trial");
    shower.add_flag("--json", applying->json, "Print one JSON object");
    shower.callback([applying] { show(*applying); });
}

}  // namespace linnet
