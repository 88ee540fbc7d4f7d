// Reads SentencePiece's tokenizer.model: a protocol buffer (ModelProto), of which a few fields matter here. The reader is our
// own because it is small, and because the converter must run where no protobuf library is.
#include <cmath>
#include <optional>
#include <unordered_set>

#include "core/base/bytes.h"
#include "core/text/tokenizer_block.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

using Kind = Tokenizer::Kind;

// Field numbers of sentencepiece_model.proto.
constexpr uint32_t model_pieces = 1, model_trainer = 2, model_normalizer = 3;
constexpr uint32_t piece_text = 1, piece_score = 2, piece_type = 3;
constexpr uint32_t trainer_model_type = 3, trainer_space_suffix = 24, trainer_byte_fallback = 35, trainer_bos_piece = 46,
                   trainer_eos_piece = 47;
constexpr uint32_t normalizer_charsmap = 2, normalizer_prefix = 3, normalizer_collapse = 4, normalizer_escape = 5;
constexpr uint64_t type_bpe = 2;

struct Field {
    uint32_t number = 0;
    uint32_t wire = 0;       // 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
    uint64_t value = 0;      // wire types 0, 1 and 5
    std::string_view bytes;  // wire type 2
};

// Reads one message's fields in order. A malformed one ends it with failed() set.
class Message {
public:
    explicit Message(std::string_view bytes) : bytes_(bytes) {}

    bool failed() const { return failed_; }

    bool next(Field& field) {
        if (failed_ || bytes_.empty()) return false;
        uint64_t key = 0;
        failed_ = true;
        if (!varint(key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
        field = {static_cast<uint32_t>(key >> 3), static_cast<uint32_t>(key & 7), 0, {}};
        switch (field.wire) {
            case 0:
                if (!varint(field.value)) return false;
                break;
            case 1:
                if (bytes_.size() < 8) return false;
                field.value = load<uint64_t>(bytes_.data());
                bytes_.remove_prefix(8);
                break;
            case 2: {
                uint64_t length = 0;
                if (!varint(length) || length > bytes_.size()) return false;
                field.bytes = bytes_.substr(0, static_cast<size_t>(length));
                bytes_.remove_prefix(static_cast<size_t>(length));
                break;
            }
            case 5:
                if (bytes_.size() < 4) return false;
                field.value = load<uint32_t>(bytes_.data());
                bytes_.remove_prefix(4);
                break;
            default: return false;
        }
        failed_ = false;
        return true;
    }

private:
    bool varint(uint64_t& value) {
        value = 0;
        for (uint32_t shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(bytes_[0]);
            bytes_.remove_prefix(1);
            value |= uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return true;
        }
        return false;
    }

    std::string_view bytes_;
    bool failed_ = false;
};

Status damaged(Error& error, const char* where) {
    return error.fail(Status::bad_file) << "The SentencePiece model is damaged in " << where << ": download it again.";
}

Status read_piece(std::string_view bytes, Piece& piece, uint64_t& type, Error& error) {
    type = 1;
    Message message(bytes);
    Field field;
    while (message.next(field)) {
        if (field.number == piece_text && field.wire == 2) piece.text = field.bytes;
        if (field.number == piece_score && field.wire == 5)
            piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
        if (field.number == piece_type && field.wire == 0) type = field.value;
    }
    if (message.failed()) return damaged(error, "its pieces");
    if (type < 1 || type > 6) {
        return error.fail(Status::bad_file) << "The SentencePiece model has a piece of the unknown type " << type << '.';
    }
    if (piece.text.empty()) return error.fail(Status::bad_file) << "The SentencePiece model has an empty piece.";
    if (std::isnan(piece.score)) {
        return error.fail(Status::bad_file)
               << "In the SentencePiece model the score of \"" << piece.text << "\" is not a number.";
    }
    piece.kind = static_cast<Kind>(type);
    return Status::ok;
}

}  // namespace

Status read_sentencepiece_model(std::string_view bytes, Vocabulary& vocabulary, Error& error) {
    vocabulary = {};
    uint64_t model_type = 1;  // the format's defaults
    bool byte_fallback = false, space_suffix = false, collapse = true, escape = true, charsmap = false;
    std::string bos = "<s>", eos = "</s>";

    Message model(bytes);
    Field field;
    while (model.next(field)) {
        if (field.wire != 2) continue;
        if (field.number == model_pieces) {
            if (vocabulary.pieces.size() == max_pieces) {
                return error.fail(Status::unsupported) << "The SentencePiece model has more than " << max_pieces << " pieces.";
            }
            Piece piece;
            uint64_t type = 1;
            if (Status status = read_piece(field.bytes, piece, type, error); status != Status::ok) return status;
            vocabulary.pieces.push_back(std::move(piece));
        } else if (field.number == model_trainer) {
            Message trainer(field.bytes);
            Field inner;
            while (trainer.next(inner)) {
                if (inner.number == trainer_model_type && inner.wire == 0) model_type = inner.value;
                if (inner.number == trainer_space_suffix && inner.wire == 0) space_suffix = inner.value != 0;
                if (inner.number == trainer_byte_fallback && inner.wire == 0) byte_fallback = inner.value != 0;
                if (inner.number == trainer_bos_piece && inner.wire == 2) bos = inner.bytes;
                if (inner.number == trainer_eos_piece && inner.wire == 2) eos = inner.bytes;
            }
            if (trainer.failed()) return damaged(error, "its trainer_spec");
        } else if (field.number == model_normalizer) {
            Message normalizer(field.bytes);
            Field inner;
            while (normalizer.next(inner)) {
                if (inner.number == normalizer_charsmap && inner.wire == 2) charsmap = !inner.bytes.empty();
                if (inner.number == normalizer_prefix && inner.wire == 0) vocabulary.dummy_prefix = inner.value != 0;
                if (inner.number == normalizer_collapse && inner.wire == 0) collapse = inner.value != 0;
                if (inner.number == normalizer_escape && inner.wire == 0) escape = inner.value != 0;
            }
            if (normalizer.failed()) return damaged(error, "its normalizer_spec");
        }
    }
    if (model.failed()) return damaged(error, "its outermost message");
    if (vocabulary.pieces.empty()) return error.fail(Status::bad_file) << "The SentencePiece model has no pieces.";
    if (model_type != type_bpe) {
        return error.fail(Status::unsupported)
               << "The SentencePiece model is of type " << model_type << " (1 is unigram); Linnet reads BPE, which is type 2.";
    }
    if (charsmap) {
        return error.fail(Status::unsupported) << "The SentencePiece model changes characters before it splits text "
                                                  "(its normaliser has a character map); Linnet reads the identity normaliser.";
    }
    if (collapse || !escape || space_suffix) {
        return error.fail(Status::unsupported)
               << "The SentencePiece model treats spaces in a way that Linnet does not: it reads those with "
                  "remove_extra_whitespaces off, escape_whitespaces on and spaces in front of words.";
    }

    std::unordered_set<std::string_view> mergeable, reserved;
    uint32_t byte_pieces = 0;
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        const Piece& piece = vocabulary.pieces[id];
        const auto index = static_cast<int32_t>(id);
        if (piece.kind == Kind::unused) {
            return error.fail(Status::unsupported) << "The SentencePiece model has unused pieces, such as \"" << piece.text
                                                   << "\"; Linnet does not read those.";
        }
        auto& names = piece.kind == Kind::normal || piece.kind == Kind::user_defined ? mergeable : reserved;
        if (!names.insert(piece.text).second) {
            return error.fail(Status::bad_file) << "The SentencePiece model has the piece \"" << piece.text << "\" twice.";
        }
        if (piece.kind == Kind::unknown) {
            if (vocabulary.unknown >= 0)
                return error.fail(Status::bad_file) << "The SentencePiece model has two unknown pieces.";
            vocabulary.unknown = index;
        }
        if (piece.kind == Kind::control && piece.text == bos) vocabulary.bos = index;
        if (piece.kind == Kind::control && piece.text == eos) vocabulary.eos = index;
        if (piece.kind == Kind::byte) ++byte_pieces;
    }
    if (vocabulary.unknown < 0) return error.fail(Status::bad_file) << "The SentencePiece model has no unknown piece.";
    if (byte_pieces != (byte_fallback ? 256u : 0u)) {
        return error.fail(Status::bad_file) << "The SentencePiece model has " << byte_pieces
                                            << " byte pieces and byte_fallback " << (byte_fallback ? "on" : "off") << '.';
    }
    vocabulary.add_bos = vocabulary.bos >= 0;  // as transformers' LlamaTokenizer, unless tokenizer_config.json says otherwise
    return Status::ok;
}

}  // namespace linnet
