// What streams on POSIX: reads past the cache, and the temporary file.
#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "platform/posix/available_memory.h"
#include "platform/posix/cached_reads.h"
#include "platform/posix/file.h"
#include "platform/posix/posix.h"
#include "platform/posix/queued_reads.h"
#include "platform/posix/read_ahead.h"
#include "platform/posix/scratch_file.h"
#include "platform/posix/thread_pool.h"

using namespace linnet;

namespace {

constexpr size_t block = 4096;

// A folder with one file, which goes away with the test.
struct TemporaryFolder {
    std::string path = (getenv("TMPDIR") != nullptr ? std::string(getenv("TMPDIR")) : "/tmp") + "/linnet-test-XXXXXX";
    std::string file;

    explicit TemporaryFolder(const std::vector<uint8_t>& bytes) {
        REQUIRE(mkdtemp(path.data()) != nullptr);
        file = path + "/model";
        FILE* out = fopen(file.c_str(), "wb");
        REQUIRE(out != nullptr);
        REQUIRE(fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size());
        REQUIRE(fclose(out) == 0);
    }
    ~TemporaryFolder() {
        chmod(path.c_str(), 0700);
        unlink(file.c_str());
        rmdir(path.c_str());
    }
    size_t entries() const {
        size_t count = 0;
        DIR* folder = opendir(path.c_str());
        REQUIRE(folder != nullptr);
        while (readdir(folder) != nullptr) ++count;
        closedir(folder);
        return count - 2;  // . and ..
    }
};

std::vector<uint8_t> counting_bytes(size_t count, uint8_t salt = 0) {
    std::vector<uint8_t> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256 + i / 70'000 + salt);
    return bytes;
}

// Memory as an arena has it: in whole blocks.
struct Blocks {
    explicit Blocks(size_t bytes) { REQUIRE(memory.allocate(bytes)); }
    uint8_t* data() { return static_cast<uint8_t*>(memory.data()); }
    ArenaMemory memory;
};

}  // namespace

TEST_CASE("reads past the cache give the same bytes, whatever the alignment and wherever the file ends") {
    const std::vector<uint8_t> bytes = counting_bytes((3 << 20) + 1234);
    const TemporaryFolder folder(bytes);
    for (const DirectReads direct : {DirectReads::always, DirectReads::never, DirectReads::automatic}) {
        PosixPlatform posix;
        PosixOptions options;
        options.direct = direct;
        std::string problem;
        REQUIRE(posix.open(folder.file, 1, problem, options));
        const linnet_platform& platform = posix.platform();
        if (direct == DirectReads::never) CHECK_FALSE(posix.reads_directly());
        Blocks memory(2 << 21);
        const size_t whole = bytes.size();
        const struct {
            uint64_t offset;
            size_t bytes;
            size_t shift;
        } reads[] = {
            {0, 1 << 20, 0},
            {block, 1 << 20, 0},
            {block, (1 << 20) + 17, 0},
            {1 << 20, whole - (1 << 20), 0},
            {0, whole, 0},
            {5, 1 << 20, 0},
            {0, 1 << 20, 8},
            {0, 65536, 0},
            {0, 4096, 0},
            {whole - 100, 100, 0},
            {0, 0, 0},
            {3 << 20, 1234, 0},
            {1 << 20, 2 << 20, 64},
        };
        for (const auto& read : reads) {
            CAPTURE(read.offset);
            CAPTURE(read.bytes);
            uint8_t* to = memory.data() + read.shift;
            memset(memory.data(), 0xa5, 2 << 21);
            uint32_t ticket = 9;
            REQUIRE(platform.begin_read(platform.context, read.offset, to, read.bytes, &ticket) == 0);
            REQUIRE(platform.wait(platform.context, ticket) == 0);
            CHECK(memcmp(to, bytes.data() + read.offset, read.bytes) == 0);
            CHECK(to[read.bytes] == 0xa5);  // and not a byte more
        }
        uint32_t ticket = 9;
        REQUIRE(platform.begin_read(platform.context, 1 << 20, memory.data(), 3 << 20, &ticket) == 0);
        CHECK(platform.wait(platform.context, ticket) == ReadOnlyFile::shrunk);
        CHECK(posix.problem() == "the file has become shorter since it was opened");
        REQUIRE(truncate(folder.file.c_str(), (1 << 20) + 100) == 0);
        REQUIRE(platform.begin_read(platform.context, 0, memory.data(), 2 << 20, &ticket) == 0);
        CHECK(platform.wait(platform.context, ticket) == ReadOnlyFile::shrunk);
        FILE* out = fopen(folder.file.c_str(), "wb");
        REQUIRE(out != nullptr);
        REQUIRE(fwrite(bytes.data(), 1, bytes.size(), out) == bytes.size());
        REQUIRE(fclose(out) == 0);
    }
}

TEST_CASE("a request ends with the error that a part of it met, and the next one is as good as new") {
    struct Source {
        uint64_t bad = 0;
    } source;
    const ReadAhead::Read read = [](void* context, uint64_t offset, void* to, size_t bytes) -> int32_t {
        const uint64_t bad = static_cast<Source*>(context)->bad;
        memset(to, 1, bytes);
        return offset <= bad && bad < offset + bytes ? 77 : 0;
    };
    ReadAhead ahead;
    std::vector<uint8_t> memory(5 << 20);
    for (const uint64_t bad : {0ull, 1ull << 20, (5ull << 20) - 1, 1ull << 40}) {
        source.bad = bad;
        uint32_t first = 0;
        uint32_t second = 0;
        uint32_t third = 0;
        memset(memory.data(), 0, memory.size());
        REQUIRE(ahead.begin(read, &source, 0, memory.data(), memory.size() / 2, &first) == 0);
        REQUIRE(ahead.begin(read, &source, memory.size() / 2, memory.data() + memory.size() / 2, memory.size() / 2, &second) ==
                0);
        CHECK(ahead.begin(read, &source, 0, memory.data(), 1, &third) == ReadAhead::too_many);
        CHECK(ahead.wait(second) == (bad >= memory.size() / 2 && bad < memory.size() ? 77 : 0));
        CHECK(ahead.wait(first) == (bad < memory.size() / 2 ? 77 : 0));
        CHECK(ahead.wait(first) == ReadAhead::too_many);
        if (bad >= memory.size()) CHECK(memchr(memory.data(), 0, memory.size()) == nullptr);
    }
    CHECK(ahead.wait(2) == ReadAhead::too_many);
}

TEST_CASE("reads that the kernel does on its own bring the same bytes, and what they do not bring is read the ordinary way") {
    const std::vector<uint8_t> bytes = counting_bytes((3 << 20) + 1234);
    const TemporaryFolder folder(bytes);
    struct Source {
        ReadOnlyFile file;
        int calls = 0;
        uint64_t offset = 0;
    } source;
    std::string problem;
    REQUIRE(source.file.open(folder.file, problem));
    const ReadAhead::Read read = [](void* context, uint64_t offset, void* to, size_t count) -> int32_t {
        auto& from = *static_cast<Source*>(context);
        ++from.calls;
        from.offset = offset;
        return from.file.read(offset, to, count);
    };
    QueuedReads queued;
    Blocks memory(2 << 21);
    uint8_t* to = memory.data();
    const int direct = source.file.direct();
    CHECK_FALSE(queued.takes(-1, 0, to, 1 << 20));
    CHECK_FALSE(queued.takes(direct, 5, to, 1 << 20));
    CHECK_FALSE(queued.takes(direct, 0, to + 8, 1 << 20));
    CHECK_FALSE(queued.takes(direct, 0, to, 4096));
    if (!queued.takes(direct, 0, to, 1 << 20)) {
        MESSAGE("this system has no queue for reads past its cache");
        return;
    }
    uint32_t first = 0;
    uint32_t second = 0;
    uint32_t third = 0;
    memset(to, 0xa5, 2 << 21);
    REQUIRE(queued.begin(direct, read, &source, 0, to, 1 << 20, &first) == 0);
    REQUIRE(queued.begin(direct, read, &source, 1 << 20, to + (1 << 20), bytes.size() - (1 << 20), &second) == 0);
    CHECK(queued.begin(direct, read, &source, 0, to, 1 << 20, &third) == QueuedReads::too_many);
    CHECK((queued.has(first) && queued.has(second) && !queued.has(0) && !queued.has(3)));
    CHECK(queued.wait(second) == 0);
    CHECK(source.calls == 1);  // for the end of the file, which is no whole block
    CHECK(source.offset == 3 << 20);
    CHECK(queued.wait(second) == QueuedReads::too_many);
    CHECK(queued.wait(first) == 0);
    CHECK(source.calls == 1);
    CHECK(memcmp(to, bytes.data(), bytes.size()) == 0);
    CHECK(to[bytes.size()] == 0xa5);

    // Past the end, and from a descriptor that cannot be read: what the ordinary read says.
    REQUIRE(queued.begin(direct, read, &source, 2 << 20, to, 2 << 20, &first) == 0);
    CHECK(queued.wait(first) == ReadOnlyFile::shrunk);
    const int closed = open(folder.file.c_str(), O_WRONLY);
    REQUIRE(closed >= 0);
    memset(to, 0xa5, 1 << 20);
    REQUIRE(queued.begin(closed, read, &source, 1 << 20, to, 1 << 20, &first) == 0);
    CHECK(queued.wait(first) == 0);
    CHECK(memcmp(to, bytes.data() + (1 << 20), 1 << 20) == 0);
    CHECK(source.offset == 1 << 20);
    close(closed);
}

TEST_CASE("reads from the system's cache are copied when they are waited for, and given up for a while where it has nothing") {
    const std::vector<uint8_t> bytes = counting_bytes((3 << 20) + 1234);
    const TemporaryFolder folder(bytes);
    ReadOnlyFile file;
    std::string problem;
    REQUIRE(file.open(folder.file, problem));
    ThreadPool pool(2);
    CachedReads cached;
    std::vector<uint8_t> memory(bytes.size(), 0xa5);
    CHECK(cached.likely());
    uint32_t first = 0;
    uint32_t second = 0;
    uint32_t third = 0;
    constexpr size_t half = (1 << 20) + 17;
    REQUIRE(cached.begin(file, 0, memory.data(), half, &first) == 0);
    REQUIRE(cached.begin(file, half, memory.data() + half, bytes.size() - half, &second) == 0);
    CHECK(cached.begin(file, 0, memory.data(), 1, &third) == CachedReads::too_many);
    CHECK(memory[0] == 0xa5);
    CHECK((cached.has(first) && cached.has(second) && !cached.has(0) && !cached.has(1)));
    CHECK(cached.wait(second, pool) == 0);
    CHECK(cached.wait(second, pool) == CachedReads::too_many);
    CHECK(cached.wait(first, pool) == 0);
    CHECK(memory == bytes);
    REQUIRE(cached.begin(file, 3 << 20, memory.data(), 1 << 20, &first) == 0);
    CHECK(cached.wait(first, pool) == ReadOnlyFile::shrunk);

    // Out of the cache, where the file system has one of its own.
    const int descriptor = open(folder.file.c_str(), O_RDONLY);
    REQUIRE(descriptor >= 0);
    REQUIRE(fsync(descriptor) == 0);
    REQUIRE(posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0);
    close(descriptor);
    std::fill(memory.begin(), memory.end(), 0xa5);
    const bool gone = file.read_cached(0, memory.data(), bytes.size()) != bytes.size();
    CHECK(cached.read(file, 0, memory.data(), bytes.size()) == 0);
    CHECK(memory == bytes);
    if (gone) CHECK_FALSE(cached.likely());
    for (int i = 0; i < 100; ++i) REQUIRE(cached.read(file, 0, memory.data(), 4096) == 0);
    CHECK(cached.likely() == (file.read_cached(0, memory.data(), 4096) == 4096));
}

TEST_CASE("the temporary file gives back what was written, and nobody sees it") {
    const TemporaryFolder folder(counting_bytes(100'000));
    for (const DirectReads direct : {DirectReads::always, DirectReads::never}) {
        PosixPlatform posix;
        PosixOptions options;
        options.direct = direct;
        options.scratch_folder = folder.path;
        std::string problem;
        REQUIRE(posix.open(folder.file, 1, problem, options));
        const linnet_platform& platform = posix.platform();
        REQUIRE(static_cast<bool>(platform.scratch_write));
        CHECK(platform.scratch_bytes > 1'000'000);
        constexpr size_t length = 64 * block;
        Blocks memory(length);
        CHECK(platform.scratch_read(platform.context, 0, memory.data(), block) != 0);  // nothing was written
        for (const uint64_t offset : {uint64_t{0}, uint64_t{10'000 * block}, uint64_t{length}, uint64_t{0}}) {
            const std::vector<uint8_t> bytes = counting_bytes(length, static_cast<uint8_t>(offset / block + 1));
            memcpy(memory.data(), bytes.data(), length);
            REQUIRE(platform.scratch_write(platform.context, offset, memory.data(), length) == 0);
            memset(memory.data(), 0, length);
            REQUIRE(platform.scratch_read(platform.context, offset, memory.data(), length) == 0);
            CHECK(memcmp(memory.data(), bytes.data(), length) == 0);
            memset(memory.data(), 0, length);
            // At the same time as a read of the model.
            uint32_t tickets[2] = {9, 9};
            std::vector<uint8_t> model(10'000);
            REQUIRE(platform.begin_scratch_read(platform.context, offset, memory.data(), length, &tickets[0]) == 0);
            REQUIRE(platform.begin_read(platform.context, 0, model.data(), model.size(), &tickets[1]) == 0);
            REQUIRE(platform.wait(platform.context, tickets[0]) == 0);
            REQUIRE(platform.wait(platform.context, tickets[1]) == 0);
            CHECK(memcmp(memory.data(), bytes.data(), length) == 0);
            CHECK(model == counting_bytes(model.size()));
        }
        CHECK(folder.entries() == 1);
        CHECK(posix.scratch_problem().find("The temporary file in \"" + folder.path + "\" cannot be used: ") == 0);
    }
}

TEST_CASE("a full storage is an error with a sentence, and what was written stays") {
    const TemporaryFolder folder(counting_bytes(100));
    PosixPlatform posix;
    PosixOptions options;
    options.scratch_folder = folder.path;
    std::string problem;
    REQUIRE(posix.open(folder.file, 1, problem, options));
    const linnet_platform& platform = posix.platform();
    Blocks memory(2 * block);
    memset(memory.data(), 3, 2 * block);
    REQUIRE(platform.scratch_write(platform.context, 0, memory.data(), 2 * block) == 0);
    CHECK(posix.scratch_problem().empty());
    // What a process may write at most takes the place of a full disk: without care it would end the process with a signal.
    struct rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit small = before;
    small.rlim_cur = 3 * block;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const int32_t refused = platform.scratch_write(platform.context, 2 * block, memory.data(), 2 * block);
    PosixPlatform limited;
    const bool opened = limited.open(folder.file, 1, problem, options);
    const uint64_t room = limited.platform().scratch_bytes;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(opened);
    CHECK(room == 3 * block);
    CHECK(refused != 0);
    CHECK(posix.scratch_problem() == "The folder \"" + folder.path +
                                         "\" has no room left for the keys and values that do not fit into memory. Make room "
                                         "there or name another one.");
    memset(memory.data(), 0, 2 * block);
    REQUIRE(platform.scratch_read(platform.context, 0, memory.data(), 2 * block) == 0);
    CHECK(memory.data()[0] == 3);
    CHECK(memory.data()[2 * block - 1] == 3);
}

TEST_CASE("a folder for the temporary file that will not do is refused at once") {
    const TemporaryFolder folder(counting_bytes(100));
    PosixPlatform posix;
    PosixOptions options;
    std::string problem;
    options.scratch_folder = folder.path + "/none";
    CHECK_FALSE(posix.open(folder.file, 1, problem, options));
    CHECK(problem == "Cannot put a temporary file into \"" + folder.path + "/none\": No such file or directory.");
    options.scratch_folder = folder.file;
    CHECK_FALSE(posix.open(folder.file, 1, problem, options));
    CHECK(problem == "Cannot put a temporary file into \"" + folder.file + "\": it is no folder.");
    // One that goes away later is an error of the write.
    const TemporaryFolder other(counting_bytes(1));
    options.scratch_folder = other.path;
    REQUIRE(posix.open(folder.file, 1, problem, options));
    REQUIRE(unlink(other.file.c_str()) == 0);
    REQUIRE(rmdir(other.path.c_str()) == 0);
    Blocks memory(block);
    CHECK(posix.platform().scratch_write(posix.platform().context, 0, memory.data(), block) != 0);
    CHECK(posix.scratch_problem().find("No such file") != std::string::npos);
}

TEST_CASE("without a choice the temporary file goes where TMPDIR says, unless that is memory") {
    const std::string before = getenv("TMPDIR") != nullptr ? getenv("TMPDIR") : "";
    const TemporaryFolder folder(counting_bytes(100));
    std::string problem;
    ScratchFile scratch;
    setenv("TMPDIR", folder.path.c_str(), 1);
    REQUIRE(scratch.choose("", folder.file, problem));
    CHECK(scratch.folder().find(folder.path) == 0);
    setenv("TMPDIR", "/nowhere/at/all", 1);
    REQUIRE(scratch.choose("", folder.file, problem));
    CHECK(scratch.available());
    CHECK(scratch.folder() != "/nowhere/at/all");
    CHECK(scratch.room() > 0);
    before.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before.c_str(), 1);
}

TEST_CASE("the memory that can be had is a number of this machine's order") {
    const uint64_t available = available_memory();
    CHECK(available > 1'000'000);
    CHECK((available == UINT64_MAX || available < (uint64_t{1} << 50)));
}
