// The weights that are measured with are the model's own: the gate and up matrices, the largest of a layer, of one layer after the
// other. They are read like weights that stream, page by page with two requests under way, into as much of the caller's memory as
// they fill, and then multiplied with one token's activations by the kernels and the threads that a decoded token gets.
#include "core/stream/measure.h"

#include "core/api_internal.h"
#include "core/base/arena.h"
#include "core/model/reader.h"
#include "core/session/model.h"
#include "core/stream/checksum.h"

namespace linnet {

namespace {

// Long enough to even out what else the machine does, short enough to be waited for; each of the two.
constexpr uint64_t enough_microseconds = 300'000;
// Storage that is far too fast for this memory need not be read for long.
constexpr uint64_t enough_reads = 4096;
constexpr uint64_t usual_page = uint64_t{1} << 20;

class Measurement {
public:
    Measurement(const linnet_platform& platform, const FileHeader& header, const Settings& settings)
        : platform_(platform), header_(header), settings_(settings) {}

    Status prepare(const LayerPlaces* places, Arena& arena, uint64_t bytes, uint64_t page, Error& error) {
        const TensorPlace& matrix = places[0].gate_up;
        places_ = places;
        stride_ = block_stride(matrix.format, matrix.columns, matrix.group);
        if (stride_ == 0) return error.fail(Status::bad_file) << "The layers of this model have matrices without columns.";
        const uint32_t padded = padded_columns(matrix.columns);
        float* f32 = arena.take<float>(padded);
        int8_t* values = arena.take<int8_t>(padded);
        float* scales = arena.take<float>(padded / block_columns);
        int32_t* sums = arena.take<int32_t>(padded / block_columns);
        result_ = arena.take<float>(align_up(matrix.rows, rows_in_block));
        const uint64_t fixed = align_up(arena.used(), section_alignment);
        const bool in_place = !arena.overflowed() && mapped(0) != nullptr;
        // A slot holds blocks of one matrix, and what whole sections before and behind them bring along.
        const uint64_t least = fixed + (in_place ? 0 : align_up(stride_ + 2 * section_alignment, section_alignment));
        if (arena.overflowed() || bytes < least) {
            return error.fail(Status::does_not_fit) << "Measuring this model needs at least " << least << " bytes of memory.";
        }
        for (uint32_t i = 0; i < padded; ++i) f32[i] = i < matrix.columns ? static_cast<float>(i % 17) - 8.0f : 0.0f;
        if (matrix.format != TensorFormat::f32_packed) settings_.kernels->quantize(f32, matrix.columns, values, scales, sums);
        activations_ = {f32, values, scales, sums, padded, padded};
        blocks_ = block_count(matrix.rows);
        if (in_place) {
            slots_ = filled_ = header_.config.layers;
            return Status::ok;
        }
        const uint64_t room = bytes - fixed;
        pool_ = arena.take<uint8_t>(room, section_alignment);
        const uint64_t whole = align_up(matrix.bytes + 2 * section_alignment, section_alignment);
        slot_bytes_ = whole < room ? whole : room / section_alignment * section_alignment;
        slots_ = static_cast<uint32_t>(least_of(room / slot_bytes_, header_.config.layers));
        blocks_ = static_cast<uint32_t>(least_of((slot_bytes_ - 2 * section_alignment) / stride_, blocks_));
        page_bytes_ = page;
        // Memory comes into being when it is first touched: that is no part of a read.
        for (uint64_t at = 0; at < slots_ * slot_bytes_; at += section_alignment) pool_[at] = 0;
        return Status::ok;
    }

    // Reads matrices until enough time has passed, into one slot after the other.
    Status read(linnet_rates& rates, Error& error) {
        if (pool_ == nullptr) return Status::ok;  // in place: nothing is ever read
        // Once without looking at the clock: threads start, a disk wakes up.
        uint64_t bytes = 0;
        if (Status status = read_slot(0, 0, page_bytes_, bytes, error); status != Status::ok) return status;
        bytes = 0;
        const uint64_t start = ticks();
        uint64_t spent = 0;
        uint64_t reads = 0;
        for (uint32_t layer = 0;; layer = (layer + 1) % header_.config.layers) {
            const uint32_t slot = layer % slots_;
            if (Status status = read_slot(slot, layer, UINT64_MAX, bytes, error); status != Status::ok) return status;
            if (slot == filled_) ++filled_;
            spent = ticks() - start;
            reads += slot_bytes_ / page_bytes_ + 1;
            // A storage that is slow fills what it can in the time.
            if (spent >= enough_microseconds || (reads >= enough_reads && filled_ == slots_)) break;
        }
        rates.read_bytes = bytes;
        if (spent != 0) rates.read_bytes_per_second = static_cast<double>(bytes) * 1e6 / static_cast<double>(spent);
        return Status::ok;
    }

    // The best of several times through all that was read: the others have had to share the machine.
    Status compute(linnet_rates& rates, Error& error) {
        const uint64_t begin = ticks();
        for (uint32_t times = 0;; ++times) {
            const uint64_t start = ticks();
            for (uint32_t slot = 0; slot < filled_; ++slot) {
                multiply_blocks(slot, 0, blocks_);
                if (Status status = breathe(error); status != Status::ok) return status;
            }
            const uint64_t spent = ticks() - start;
            const double rate =
                spent == 0 ? 0 : static_cast<double>(filled_ * uint64_t{blocks_} * stride_) * 1e6 / static_cast<double>(spent);
            // The first time fills the caches, unless it takes so long that a second one would be too much.
            const bool over = ticks() - begin >= enough_microseconds;
            if ((times != 0 || over) && rate > rates.compute_bytes_per_second) rates.compute_bytes_per_second = rate;
            if (over || (times != 0 && spent == 0)) return Status::ok;
        }
    }

    // What streams is compared and multiplied as well, page by page: first without reading, then while the next pages are read.
    Status together(linnet_rates& rates, Error& error) {
        if (pool_ == nullptr || filled_ < 2 || !(rates.read_bytes_per_second > 0)) return Status::ok;
        uint64_t bytes = 0;
        uint64_t start = ticks();
        const uint64_t page = least_of(page_bytes_, slot_bytes_);
        for (uint32_t slot = 0; ticks() - start < enough_microseconds / 4; slot = (slot + 1) % filled_) {
            for (uint64_t at = 0; at + page <= slot_bytes_; at += page) use(slot, at, page);
            bytes += slot_bytes_ / page * page;
            if (Status status = breathe(error); status != Status::ok) return status;
        }
        const double using_seconds = static_cast<double>(ticks() - start) / 1e6 / static_cast<double>(bytes);
        if (using_seconds > 0) rates.use_bytes_per_second = 1 / using_seconds;
        bytes = 0;
        start = ticks();
        for (uint32_t layer = 0; ticks() - start < enough_microseconds / 3; layer = (layer + 1) % header_.config.layers) {
            if (Status status = read_slot(layer % filled_, layer, UINT64_MAX, bytes, error, true); status != Status::ok) {
                return status;
            }
        }
        const double seconds = static_cast<double>(ticks() - start) / 1e6 / static_cast<double>(bytes);
        const double reading = 1 / rates.read_bytes_per_second;
        const double longer = reading > using_seconds ? reading : using_seconds;
        const double shorter = reading > using_seconds ? using_seconds : reading;
        const double more = seconds - longer;
        // Where one of the two is next to nothing it does not matter what becomes of it.
        if (more > 0 && shorter * 50 > longer) rates.not_hidden = more < shorter ? more / shorter : 1;
        return Status::ok;
    }

    uint64_t ticks() const { return platform_.ticks(platform_.context); }

private:
    void multiply_blocks(uint32_t slot, uint32_t first, uint32_t count) {
        slot_ = slot;
        first_ = first;
        count_ = count;
        const uint64_t worth = uint64_t{count} * stride_ / worth_a_piece;
        const uint64_t tasks = settings_.threads <= 1 ? 1 : uint64_t{settings_.threads} * 4;
        pieces_ = static_cast<uint32_t>(least_of(least_of(worth, tasks), count));
        if (pieces_ <= 1) {
            pieces_ = 1;
            multiply(this, 0);
        } else {
            platform_.parallel(platform_.context, multiply, this, pieces_);
        }
    }

    // What becomes of a page that came: its checksum is taken, and about as many bytes of blocks are multiplied.
    void use(uint32_t slot, uint64_t at, uint64_t bytes) {
        if (settings_.verify) sum_ ^= checksum(platform_, pool_ + slot * slot_bytes_ + at, bytes);
        // Up to a section less than what has come: where in its first section the matrix begins is left out of account.
        const auto whole = [&](uint64_t come) {
            return static_cast<uint32_t>(come < section_alignment ? 0
                                                                  : least_of((come - section_alignment) / stride_, blocks_));
        };
        const uint32_t first = whole(at);
        const uint32_t end = whole(at + bytes);
        if (end > first) multiply_blocks(slot, first, end - first);
    }

    // What the decoder shares out among threads as well.
    static constexpr uint64_t worth_a_piece = 48 * 1024;

    static uint64_t least_of(uint64_t a, uint64_t b) { return a < b ? a : b; }

    Status breathe(Error& error) const {
        if (platform_.yield != nullptr && platform_.yield(platform_.context) != 0) {
            return error.fail(Status::cancelled) << "Measuring was cancelled.";
        }
        return Status::ok;
    }

    // The bytes of the file that a slot takes: whole sections around the first blocks of a layer's matrix.
    void range(uint32_t layer, uint64_t& offset, uint64_t& bytes) const {
        const uint64_t begin = header_.weights_offset + places_[layer].gate_up.offset;
        const uint64_t end = align_up(begin + blocks_ * stride_, section_alignment);
        offset = begin / section_alignment * section_alignment;
        bytes = least_of(end, platform_.file_bytes) - offset;
    }

    // Reads the matrix of a layer into a slot, at most `most` bytes of it; adds to `total`.
    // With `used`, each page is used while the next ones come.
    Status read_slot(uint32_t slot, uint32_t layer, uint64_t most, uint64_t& total, Error& error, bool used = false) {
        uint64_t offset = 0;
        uint64_t bytes = 0;
        range(layer, offset, bytes);
        bytes = least_of(bytes, most);
        uint8_t* to = pool_ + slot * slot_bytes_;
        const bool ahead = platform_.begin_read != nullptr;
        uint32_t tickets[2] = {};
        uint32_t first = 0;  // of the requests under way
        uint32_t count = 0;
        int32_t result = 0;
        Status status = Status::ok;
        uint64_t asked = 0;
        uint64_t arrived = 0;  // bytes that are there,
        uint64_t done = 0;     // and those of them that have been used
        const auto use_arrived = [&] {
            if (used && result == 0 && done < arrived) use(slot, done, arrived - done);
            done = arrived;
        };
        while (asked < bytes || count != 0) {
            if (count == 2 || asked == bytes) use_arrived();
            if (count == 2 || asked == bytes || result != 0 || status != Status::ok) {
                if (count == 0) break;
                const int32_t waited = platform_.wait(platform_.context, tickets[first % 2]);
                if (result == 0) result = waited;
                arrived = least_of(arrived + page_bytes_, asked);
                ++first;
                --count;
                continue;
            }
            status = breathe(error);
            if (status != Status::ok) continue;
            const auto part = static_cast<size_t>(least_of(page_bytes_, bytes - asked));
            if (ahead) {
                result =
                    platform_.begin_read(platform_.context, offset + asked, to + asked, part, &tickets[(first + count) % 2]);
                if (result == 0) ++count;
            } else {
                result = platform_.read(platform_.context, offset + asked, to + asked, part);
                arrived = asked + part;
                use_arrived();
            }
            asked += part;
        }
        use_arrived();
        if (status != Status::ok) return status;
        if (result != 0) {
            return error.fail(Status::io) << "Reading the weights of layer " << layer << " failed (code " << result
                                          << "): the storage cannot be read.";
        }
        total += bytes;
        return Status::ok;
    }

    static void multiply(void* context, uint32_t piece) {
        const Measurement& self = *static_cast<Measurement*>(context);
        const PackedMatrix matrix = self.matrix();
        const auto block = [&](uint32_t at) {
            return self.first_ + static_cast<uint32_t>(uint64_t{self.count_} * at / self.pieces_);
        };
        self.settings_.kernels->matmul(matrix, self.activations_, 1, self.result_, 0, block(piece), block(piece + 1));
    }

    PackedMatrix matrix() const {
        // Where in its section a matrix begins is the same for all layers: each begins with a section, and all are laid out alike.
        const TensorPlace& place = places_[0].gate_up;
        const uint64_t inside = (header_.weights_offset + place.offset) % section_alignment;
        const uint8_t* data = pool_ == nullptr ? mapped(slot_) : pool_ + slot_ * slot_bytes_ + inside;
        const auto rows = static_cast<uint32_t>(least_of(place.rows, uint64_t{blocks_} * rows_in_block));
        return {data, place.format, rows, place.columns, place.group, stride_};
    }

    // A layer's matrix where the platform has it in memory; null where it has not.
    const uint8_t* mapped(uint32_t layer) const {
        const TensorPlace& place = places_[layer].gate_up;
        if (platform_.map == nullptr || place.bytes > SIZE_MAX) return nullptr;
        const void* at =
            platform_.map(platform_.context, header_.weights_offset + place.offset, static_cast<size_t>(place.bytes));
        return reinterpret_cast<uintptr_t>(at) % tensor_alignment == 0 ? static_cast<const uint8_t*>(at) : nullptr;
    }

    const linnet_platform& platform_;
    const FileHeader& header_;
    const Settings& settings_;
    const LayerPlaces* places_ = nullptr;
    uint8_t* pool_ = nullptr;
    uint64_t slot_bytes_ = 0;
    uint32_t slots_ = 0;
    uint32_t filled_ = 0;  // slots that hold a matrix
    uint32_t blocks_ = 0;  // of 16 rows, in a slot
    uint64_t stride_ = 0;
    uint64_t page_bytes_ = 0;
    Activations activations_{};
    float* result_ = nullptr;
    // What is computed with: blocks of a slot, in so many pieces.
    uint32_t slot_ = 0;
    uint32_t first_ = 0;
    uint32_t count_ = 0;
    uint32_t pieces_ = 1;
    uint32_t sum_ = 0;  // of checksums, so that they are taken
};

}  // namespace

Status measure(const linnet_platform& platform, const linnet_options& options, const linnet_plan& plan, void* memory,
               size_t bytes, linnet_rates& rates, Error& error) {
    rates = {};
    if (reinterpret_cast<uintptr_t>(memory) % section_alignment != 0 || memory == nullptr) {
        return error.fail(Status::bad_argument)
               << "The memory for measuring must be aligned to " << section_alignment << " bytes.";
    }
    if (platform.ticks == nullptr) {
        return error.fail(Status::unsupported) << "Without a clock in the platform nothing can be measured.";
    }
    FileHeader header;
    ModelLayout layout;
    Settings settings{};
    if (Status status = read_header(platform, header, error); status != Status::ok) return status;
    if (Status status = settle(platform, options, header, settings, error); status != Status::ok) return status;
    Arena arena(memory, bytes);
    LayerPlaces* places = arena.take<LayerPlaces>(header.config.layers);
    if (places == nullptr) {
        return error.fail(Status::does_not_fit)
               << "Measuring this model needs more than " << static_cast<uint64_t>(bytes) << " bytes of memory.";
    }
    if (Status status = read_layout(platform, header, layout, places, error); status != Status::ok) return status;
    const uint64_t start = platform.ticks(platform.context);
    Measurement measurement(platform, header, settings);
    const uint64_t page = plan.page_bytes != 0 ? plan.page_bytes : usual_page;
    Status status = measurement.prepare(places, arena, bytes, page, error);
    if (status == Status::ok) status = measurement.read(rates, error);
    if (status == Status::ok) status = measurement.compute(rates, error);
    if (status == Status::ok) status = measurement.together(rates, error);
    rates.microseconds = platform.ticks(platform.context) - start;
    return status;
}

double predict_token_seconds(const linnet_plan& plan, const linnet_rates& rates, bool full_context) {
    const uint64_t streamed =
        full_context ? plan.streamed_bytes_per_pass + plan.spilled_bytes : plan.streamed_bytes_per_pass_at_start;
    const uint64_t computed = plan.weight_bytes_per_token + (full_context ? plan.kv_bytes_per_token : 0);
    if (!(rates.compute_bytes_per_second > 0) || (streamed != 0 && !(rates.read_bytes_per_second > 0))) return 0;
    double computing = static_cast<double>(computed) / rates.compute_bytes_per_second;
    if (streamed == 0) return computing;
    const double reading = static_cast<double>(streamed) / rates.read_bytes_per_second;
    // What streams costs more than what stays: it is compared, too.
    const double more =
        rates.use_bytes_per_second > 0 ? 1 / rates.use_bytes_per_second - 1 / rates.compute_bytes_per_second : 0;
    if (more > 0) computing += static_cast<double>(streamed) * more;
    return computing > reading ? computing + rates.not_hidden * reading : reading + rates.not_hidden * computing;
}

}  // namespace linnet

linnet_status linnet_measure(const linnet_platform* platform, const linnet_options* options, void* memory, size_t bytes,
                             linnet_rates* rates, linnet_error* error) {
    *rates = {};
    linnet_plan plan;
    if (const linnet_status status = linnet_make_plan(platform, options, &plan, error); status != LINNET_OK) return status;
    return linnet::guarded(
        error, [&](linnet::Error& inner) { return linnet::measure(*platform, *options, plan, memory, bytes, *rates, inner); });
}

double linnet_predict_token_seconds(const linnet_plan* plan, const linnet_rates* rates, int32_t full_context) {
    return linnet::predict_token_seconds(*plan, *rates, full_context != 0);
}
