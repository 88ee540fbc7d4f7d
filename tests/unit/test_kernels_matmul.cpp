// The matrix kernels of every table that this processor runs, against the scalar one: ==, raw bits, over random shapes. Integer
// dots are exact and every float sum has one order, so there is no tolerance.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>

#include "tests/unit/kernels_reference.h"

using namespace linnet;
using namespace kernel_tests;

namespace {

struct Shape {
    TensorFormat format;
    uint32_t rows, columns, group;
};

Shape random_shape(Numbers& numbers) {
    const TensorFormat formats[] = {TensorFormat::f32_packed, TensorFormat::int8_packed, TensorFormat::int4_packed,
                                    TensorFormat::int4_packed};
    Shape shape{};
    shape.format = formats[numbers.below(4)];
    shape.group = shape.format == TensorFormat::f32_packed ? 0 : 32u << numbers.below(3);
    shape.rows = 1 + numbers.below(numbers.below(2) == 0 ? 20 : 100);
    shape.columns = 1 + numbers.below(numbers.below(2) == 0 ? 70 : 700);
    if (numbers.below(2) == 0) shape.columns = padded_columns(shape.columns);
    return shape;
}

}  // namespace

TEST_CASE("matmul: every table gives the scalar one's bits, in any split of rows and tokens") {
    Numbers numbers(1);
    Numbers cuts(2);  // their own, so that the shapes and the hash do not depend on how many tables this processor runs
    const auto tables = runnable_tables();
    const KernelTable& scalar = *tables[0];
    Hash hash;
    for (int round = 0; round < 400; ++round) {
        const Shape shape = random_shape(numbers);
        const Spread spread = spreads[numbers.below(7)];
        const Matrix matrix = random_matrix(numbers, shape.format, shape.rows, shape.columns, shape.group);
        const uint32_t count = 1 + numbers.below(numbers.below(2) == 0 ? 4 : 19);
        const Tokens tokens = random_tokens(numbers, scalar, count, shape.columns, spread);
        const size_t y_stride = shape.rows + numbers.below(5);
        Buffer<float> expected(count * y_stride);
        scalar.matmul(matrix.packed, tokens.activations, count, expected.data(), y_stride, 0, block_count(shape.rows));
        hash.add(expected);
        CAPTURE(round);
        CAPTURE(shape.rows);
        CAPTURE(shape.columns);
        CAPTURE(shape.group);
        CAPTURE(count);
        for (const KernelTable* table : tables) {
            CAPTURE(table->name);
            Buffer<float> whole(count * y_stride);
            table->matmul(matrix.packed, tokens.activations, count, whole.data(), y_stride, 0, block_count(shape.rows));
            REQUIRE(whole == expected);
            REQUIRE(whole.intact());

            // Two ranges of rows, and tokens in two batches.
            const uint32_t split = cuts.below(block_count(shape.rows) + 1);
            const uint32_t batch = cuts.below(count + 1);
            Activations later = tokens.activations;
            later.f32 += batch * later.f32_stride;
            later.values += size_t{batch} * later.padded;
            later.scales += size_t{batch} * (later.padded / 32);
            later.sums += size_t{batch} * (later.padded / 32);
            Buffer<float> pieces(count * y_stride);
            for (uint32_t range = 0; range < 2; ++range) {
                const uint32_t first = range == 0 ? 0 : split;
                const uint32_t last = range == 0 ? split : block_count(shape.rows);
                table->matmul(matrix.packed, tokens.activations, batch, pieces.data(), y_stride, first, last);
                table->matmul(matrix.packed, later, count - batch, pieces.data() + batch * y_stride, y_stride, first, last);
            }
            REQUIRE(pieces == expected);
            REQUIRE(pieces.intact());
        }
    }
    std::printf("matmul: hash of all results %016llx\n", static_cast<unsigned long long>(hash.value()));
    // The same on every machine and with every compiler; another value is another specification.
    CHECK(hash.value() == 0xd3c99b20a03c2d48ull);
}

// Of so many columns a table may take some after the other.
TEST_CASE("matmul: long rows") {
    Numbers numbers(3);
    const KernelTable& scalar = *select_kernels("scalar");
    for (const TensorFormat format : {TensorFormat::int8_packed, TensorFormat::int4_packed}) {
        for (uint32_t group = 32; group <= 128; group *= 2) {
            const Matrix matrix = random_matrix(numbers, format, 150, 31000, group);
            for (const uint32_t count : {1u, 2u, 7u}) {
                const Tokens tokens = random_tokens(numbers, scalar, count, 31000, Spread::usual);
                Buffer<float> expected(count * 150);
                scalar.matmul(matrix.packed, tokens.activations, count, expected.data(), 150, 0, block_count(150));
                for (const KernelTable* table : runnable_tables()) {
                    CAPTURE(table->name);
                    Buffer<float> y(count * 150);
                    table->matmul(matrix.packed, tokens.activations, count, y.data(), 150, 0, block_count(150));
                    REQUIRE(y == expected);
                    REQUIRE(y.intact());
                }
            }
        }
    }
}

TEST_CASE("matmul: the scalar one is the matrix product") {
    Numbers numbers(2);
    const KernelTable& scalar = *select_kernels("scalar");
    for (int round = 0; round < 60; ++round) {
        const Shape shape = random_shape(numbers);
        const Matrix matrix = random_matrix(numbers, shape.format, shape.rows, shape.columns, shape.group);
        const Tokens tokens = random_tokens(numbers, scalar, 2, shape.columns, Spread::usual);
        Buffer<float> y(2 * shape.rows);
        scalar.matmul(matrix.packed, tokens.activations, 2, y.data(), shape.rows, 0, block_count(shape.rows));
        for (uint32_t token = 0; token < 2; ++token) {
            for (uint32_t row = 0; row < shape.rows; ++row) {
                const uint8_t* block = matrix.packed.data + row / 16 * matrix.packed.stride;
                double sum = 0, size = 0;
                for (uint32_t column = 0; column < shape.columns; ++column) {
                    double weight, x;
                    if (shape.format == TensorFormat::f32_packed) {
                        weight = static_cast<double>(load<float>(block + (size_t{column} * 16 + row % 16) * 4));
                        x = static_cast<double>(tokens.f32[token * tokens.activations.f32_stride + column]);
                    } else {
                        const uint8_t* scales = block + scales_offset(shape.format, shape.group, column / shape.group);
                        const uint16_t half = load<uint16_t>(scales + row % 16 * 2);
                        weight = packed_value(shape.format, shape.group, block, row % 16, column) *
                                 static_cast<double>(half_to_float(half));
                        const uint32_t padded = tokens.activations.padded;
                        x = tokens.values[token * padded + column] *
                            static_cast<double>(tokens.scales[token * (padded / 32) + column / 32]);
                    }
                    sum += weight * x;
                    size += std::fabs(weight * x);
                }
                // A float sum of n terms is off by at most n * 2^-24 of the sum of their sizes.
                const double limit = (shape.columns + 4) * 0x1p-24 * size;
                REQUIRE(std::fabs(static_cast<double>(y[token * shape.rows + row]) - sum) <= limit);
            }
        }
    }
}

TEST_CASE("select_kernels: by name, the best one without, none of a name that is not there") {
    const KernelTable* const* built = nullptr;
    const size_t count = kernel_tables(&built);
    REQUIRE(count >= 1);
    CHECK(built[count - 1] == select_kernels("scalar"));
    CHECK(select_kernels("no such table") == nullptr);
    CHECK(select_kernels("") == nullptr);
    const KernelTable* best = select_kernels(nullptr);
    REQUIRE(best != nullptr);
    CHECK(select_kernels(best->name) == best);
    std::printf("kernels: %zu tables built, the best one here is %s\n", count, best->name);
}
