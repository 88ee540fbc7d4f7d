// Hugging Face's files: tokenizer.json of a SentencePiece-BPE vocabulary, tokenizer_config.json and added_tokens.json.
//
// A tokenizer.json has no scores but a list of merges. The list of a converted SentencePiece vocabulary names, in the order of
// the scores, every pair of pieces whose concatenation is a piece; that is checked, and the scores are taken from it.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "core/text/tokenizer_block.h"
#include "core/text/utf8.h"
#include "tools/converter/vocabulary.h"

namespace linnet {

namespace {

using Json = nlohmann::json;
using Kind = Tokenizer::Kind;

constexpr int deepest = 32;  // such files nest five or six deep

// Null where there is no such member, or it is of another type.
const Json* member(const Json& object, const char* name) {
    if (!object.is_object()) return nullptr;
    const auto at = object.find(name);
    return at == object.end() || at->is_null() ? nullptr : &*at;
}
const std::string* text_member(const Json& object, const char* name) {
    const Json* value = member(object, name);
    return value != nullptr ? value->get_ptr<const std::string*>() : nullptr;
}
bool flag_member(const Json& object, const char* name, bool otherwise) {
    const Json* value = member(object, name);
    return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}
// An id that a vocabulary can have; -1: something else.
int64_t id_of(const Json& value) {
    if (!value.is_number_integer()) return -1;
    const auto id = value.get<int64_t>();
    return id >= 0 && id < int64_t{max_pieces} ? id : -1;
}

bool parse(std::string_view bytes, Json& json) {
    bool too_deep = false;
    const auto watch = [&](int depth, Json::parse_event_t, Json&) {
        if (depth > deepest) too_deep = true;
        return depth <= deepest;
    };
    json = Json::parse(bytes.begin(), bytes.end(), watch, false);
    return !json.is_discarded() && !too_deep && json.is_object();
}

int32_t find_piece(const Vocabulary& vocabulary, std::string_view text) {
    int32_t found = -1;  // an ordinary piece will do where no special one has this text
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        const Piece& piece = vocabulary.pieces[id];
        if (piece.text != text || piece.kind == Kind::unused) continue;
        if (piece.added || piece.kind == Kind::control || piece.kind == Kind::unknown) return static_cast<int32_t>(id);
        found = static_cast<int32_t>(id);
    }
    return found;
}

// One added token: {"content": …, "lstrip": …, "rstrip": …, "special": …}.
Status add_token(int64_t id, const Json& token, const char* file, Vocabulary& vocabulary, Error& error) {
    const std::string* content = text_member(token, "content");
    if (id < 0 || content == nullptr) {
        return error.fail(Status::bad_file) << file << " has an added token without a usable id or content.";
    }
    if (content->empty() || content->size() > max_piece_bytes) {
        return error.fail(Status::bad_file) << file << ": added token " << id << " has " << content->size() << " bytes.";
    }
    const size_t known = vocabulary.pieces.size();
    if (static_cast<size_t>(id) >= known) {
        vocabulary.pieces.resize(static_cast<size_t>(id) + 1);
        for (size_t i = known; i < vocabulary.pieces.size(); ++i) vocabulary.pieces[i].kind = Kind::unused;
    }
    Piece& piece = vocabulary.pieces[static_cast<size_t>(id)];
    if (!piece.text.empty() && piece.text != *content) {
        return error.fail(Status::bad_file) << file << ": added token " << id << " is \"" << *content
                                            << "\", but the vocabulary has \"" << piece.text << "\" there.";
    }
    piece.text = *content;
    piece.added = true;
    piece.lstrip = flag_member(token, "lstrip", false);
    piece.rstrip = flag_member(token, "rstrip", false);
    if (piece.kind == Kind::normal || piece.kind == Kind::unused) {
        piece.kind = flag_member(token, "special", true) ? Kind::control : Kind::user_defined;
    }
    return Status::ok;
}

Status not_ours(Error& error, std::string_view what) {
    return error.fail(Status::unsupported) << "tokenizer.json is not of a SentencePiece-BPE vocabulary as Linnet reads it: "
                                           << what << '.';
}

// The normaliser must be SentencePiece's: a space in front, spaces to U+2581.
Status read_normalizer(const Json& root, Vocabulary& vocabulary, Error& error) {
    vocabulary.dummy_prefix = false;
    bool replaces = false;
    std::vector<const Json*> steps;
    if (const Json* normalizer = member(root, "normalizer")) {
        const Json* sequence = member(*normalizer, "normalizers");
        if (sequence == nullptr) {
            steps.push_back(normalizer);
        } else {
            for (const Json& step : *sequence) steps.push_back(&step);
        }
    }
    for (const Json* step : steps) {
        const std::string* type = text_member(*step, "type");
        if (type != nullptr && *type == "Prepend") {
            const std::string* prepend = text_member(*step, "prepend");
            if (prepend == nullptr || *prepend != word_space) {
                return not_ours(error, "its normalizer puts something else than U+2581 in front");
            }
            vocabulary.dummy_prefix = true;
        } else if (type != nullptr && *type == "Replace") {
            const Json* pattern = member(*step, "pattern");
            const std::string* from = pattern != nullptr ? text_member(*pattern, "String") : nullptr;
            const std::string* to = text_member(*step, "content");
            if (from == nullptr || to == nullptr || *from != " " || *to != word_space) {
                return not_ours(error, "its normalizer replaces something else than spaces");
            }
            replaces = true;
        } else {
            return not_ours(error, "its normalizer has the step " + (type != nullptr ? *type : std::string("without a type")));
        }
    }
    if (const Json* pre = member(root, "pre_tokenizer")) {
        const std::string* type = text_member(*pre, "type");
        const std::string* replacement = text_member(*pre, "replacement");
        if (type == nullptr || *type != "Metaspace" || (replacement != nullptr && *replacement != word_space)) {
            return not_ours(error, "its pre_tokenizer is " + (type != nullptr ? *type : std::string("of no type")));
        }
        if (flag_member(*pre, "split", true)) return not_ours(error, "its pre_tokenizer splits at every space");
        const std::string* scheme = text_member(*pre, "prepend_scheme");
        const bool prepends = scheme != nullptr ? *scheme != "never" : flag_member(*pre, "add_prefix_space", true);
        vocabulary.prefix_first_only = prepends && !vocabulary.dummy_prefix && scheme != nullptr && *scheme == "first";
        vocabulary.dummy_prefix = vocabulary.dummy_prefix || prepends;
        replaces = true;
    }
    return replaces ? Status::ok : not_ours(error, "nothing in it turns spaces into U+2581");
}

// The post-processor tells whether a text begins with BOS: a template whose first item is a special token.
void read_post_processor(const Json& processor, Vocabulary& vocabulary) {
    if (const Json* several = member(processor, "processors"); several != nullptr && several->is_array()) {
        for (const Json& one : *several) {
            if (member(one, "processors") == nullptr) read_post_processor(one, vocabulary);
        }
        return;
    }
    const Json* single = member(processor, "single");
    if (single == nullptr || !single->is_array() || single->empty()) return;
    const Json* token = member((*single)[0], "SpecialToken");
    const std::string* text = token != nullptr ? text_member(*token, "id") : nullptr;
    if (text == nullptr) return;
    if (const int32_t id = find_piece(vocabulary, *text); id >= 0) {
        vocabulary.bos = id;
        vocabulary.add_bos = true;
    }
}

Status read_pieces(const Json& model, Vocabulary& vocabulary, Error& error) {
    const Json* vocab = member(model, "vocab");
    if (vocab == nullptr || !vocab->is_object() || vocab->empty()) {
        return error.fail(Status::bad_file) << "tokenizer.json has no model.vocab.";
    }
    int64_t most = 0;
    for (const auto& [text, value] : vocab->items()) {
        const int64_t id = id_of(value);
        if (id < 0) return error.fail(Status::bad_file) << "tokenizer.json: the id of \"" << text << "\" is not usable.";
        most = std::max(most, id);
    }
    // Every id is there once, give or take a few: a single huge id must not make a huge table.
    if (static_cast<uint64_t>(most) >= 2 * vocab->size() + 1024) {
        return error.fail(Status::bad_file)
               << "tokenizer.json has " << vocab->size() << " pieces, but one with id " << most << '.';
    }
    vocabulary.pieces.resize(static_cast<size_t>(most) + 1);
    for (Piece& piece : vocabulary.pieces) piece.kind = Kind::unused;
    const std::string* unknown = text_member(model, "unk_token");
    for (const auto& [text, value] : vocab->items()) {
        Piece& piece = vocabulary.pieces[static_cast<size_t>(value.get<int64_t>())];
        if (!piece.text.empty()) {
            return error.fail(Status::bad_file) << "tokenizer.json gives two pieces the id " << value.get<int64_t>() << '.';
        }
        if (text.empty()) continue;
        piece.text = text;
        const bool byte = text.size() == 6 && text.starts_with("<0x") &&
                          text.find_first_not_of("0123456789ABCDEFabcdef", 3) == 5 && text[5] == '>';
        piece.kind = byte ? Kind::byte : Kind::normal;
        if (unknown != nullptr && text == *unknown) {
            piece.kind = Kind::unknown;
            vocabulary.unknown = static_cast<int32_t>(value.get<int64_t>());
        }
    }
    return Status::ok;
}

// "a b" or ["a", "b"]. Where a piece holds a space itself, the one between the two is that which leaves pieces on both sides.
template <typename IsPiece>
bool split_merge(const Json& merge, IsPiece is_piece, std::string& left, std::string& right) {
    if (merge.is_array()) {
        if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return false;
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
        return is_piece(left) && is_piece(right);
    }
    if (!merge.is_string()) return false;
    const auto& text = merge.get_ref<const std::string&>();
    if (text.size() > 2 * size_t{max_piece_bytes} + 1) return false;
    for (size_t space = text.find(' '); space != std::string::npos; space = text.find(' ', space + 1)) {
        left = text.substr(0, space);
        right = text.substr(space + 1);
        if (is_piece(left) && is_piece(right)) return true;
    }
    return false;
}

Status score_by_merges(const Json& model, Vocabulary& vocabulary, Error& error) {
    const Json* merges = member(model, "merges");
    if (merges == nullptr || !merges->is_array()) return error.fail(Status::bad_file) << "tokenizer.json has no model.merges.";

    std::unordered_map<std::string_view, size_t> ids;
    for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
        if (vocabulary.pieces[id].kind == Kind::normal) ids.emplace(vocabulary.pieces[id].text, id);
    }
    // Pieces that no merge makes come last; they are single characters, which need no score.
    const auto last = -static_cast<float>(merges->size());
    for (Piece& piece : vocabulary.pieces) piece.score = piece.kind == Kind::normal ? last : 0;
    std::vector<bool> scored(vocabulary.pieces.size(), false);
    std::unordered_set<std::string> listed;
    std::string left, right;
    uint64_t number = 0;
    uint32_t rank = 0;  // of pieces, not of pairs: exact in a float
    const auto is_piece = [&](const std::string& text) { return ids.contains(text); };
    for (const Json& merge : *merges) {
        if (!split_merge(merge, is_piece, left, right)) {
            return error.fail(Status::bad_file)
                   << "tokenizer.json has a merge (number " << number << ") that is not a pair of pieces.";
        }
        const auto at = ids.find(left + right);
        if (at == ids.end()) {
            return error.fail(Status::bad_file)
                   << "tokenizer.json merges \"" << left << "\" and \"" << right << "\", which do not make a piece.";
        }
        ++number;
        if (!scored[at->second]) {
            scored[at->second] = true;
            vocabulary.pieces[at->second].score = -static_cast<float>(rank++);
        }
        listed.insert((left += ' ') += right);
    }
    for (const auto& [text, id] : ids) {
        for (size_t cut = 1; cut < text.size(); ++cut) {
            if ((static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) continue;
            if (!ids.contains(text.substr(0, cut)) || !ids.contains(text.substr(cut))) continue;
            std::string pair(text.substr(0, cut));
            pair += ' ';
            pair += text.substr(cut);
            if (listed.contains(pair)) continue;
            return not_ours(error, "\"" + std::string(text.substr(0, cut)) + "\" and \"" + std::string(text.substr(cut)) +
                                       "\" make a piece that its merges do not list");
        }
    }
    return Status::ok;
}

std::string token_text(const Json& value) {
    if (const auto* text = value.get_ptr<const std::string*>()) return *text;
    const std::string* content = text_member(value, "content");
    return content != nullptr ? *content : std::string();
}

}  // namespace

Status read_tokenizer_json(std::string_view bytes, Vocabulary& vocabulary, Error& error) {
    vocabulary = {};
    Json root;
    if (!parse(bytes, root)) return error.fail(Status::bad_file) << "tokenizer.json is not JSON, or nested too deeply.";
    const Json* model = member(root, "model");
    if (model == nullptr || !model->is_object()) return error.fail(Status::bad_file) << "tokenizer.json has no model.";
    const std::string* type = text_member(*model, "type");
    if (type != nullptr && *type != "BPE") return not_ours(error, "its model is of the type " + *type);
    if (!flag_member(*model, "byte_fallback", false)) {
        return not_ours(error, "it works on bytes (byte-level BPE) or has no byte_fallback");
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        const std::string* text = text_member(*model, name);
        if (text != nullptr && !text->empty()) return not_ours(error, std::string("it has a ") + name);
    }
    if (flag_member(*model, "ignore_merges", false)) return not_ours(error, "it ignores its merges for whole words");
    if (Status status = read_normalizer(root, vocabulary, error); status != Status::ok) return status;
    if (Status status = read_pieces(*model, vocabulary, error); status != Status::ok) return status;

    if (const Json* added = member(root, "added_tokens"); added != nullptr && added->is_array()) {
        for (const Json& token : *added) {
            const Json* id = member(token, "id");
            Status status = add_token(id != nullptr ? id_of(*id) : -1, token, "tokenizer.json", vocabulary, error);
            if (status != Status::ok) return status;
        }
    }
    if (Status status = score_by_merges(*model, vocabulary, error); status != Status::ok) return status;
    vocabulary.bos = find_piece(vocabulary, "<s>");
    vocabulary.eos = find_piece(vocabulary, "</s>");
    if (const Json* processor = member(root, "post_processor")) read_post_processor(*processor, vocabulary);
    return Status::ok;
}

Status apply_tokenizer_config(std::string_view bytes, Vocabulary& vocabulary, Error& error) {
    Json root;
    if (!parse(bytes, root)) {
        return error.fail(Status::bad_file)
               << "tokenizer_config.json (or added_tokens.json) is not JSON, or nested too deeply.";
    }
    // added_tokens.json: texts and ids, nothing else.
    const bool texts_and_ids =
        !root.empty() && std::all_of(root.begin(), root.end(), [](const Json& value) { return value.is_number_integer(); });
    if (texts_and_ids) {
        for (const auto& [text, value] : root.items()) {
            Status status = add_token(id_of(value), Json{{"content", text}}, "added_tokens.json", vocabulary, error);
            if (status != Status::ok) return status;
        }
        return Status::ok;
    }
    if (const Json* decoder = member(root, "added_tokens_decoder"); decoder != nullptr && decoder->is_object()) {
        for (const auto& [key, token] : decoder->items()) {
            int64_t id = key.empty() || key.size() > 7 ? -1 : 0;
            for (const char c : key) id = id < 0 || c < '0' || c > '9' ? -1 : id * 10 + (c - '0');
            Status status = add_token(id < int64_t{max_pieces} ? id : -1, token, "tokenizer_config.json", vocabulary, error);
            if (status != Status::ok) return status;
        }
    }
    for (const auto& [name, id] : {std::pair{"bos_token", &vocabulary.bos}, std::pair{"eos_token", &vocabulary.eos}}) {
        const Json* token = member(root, name);
        if (token == nullptr) continue;
        if (const int32_t found = find_piece(vocabulary, token_text(*token)); found >= 0) *id = found;
    }
    vocabulary.add_bos = flag_member(root, "add_bos_token", vocabulary.add_bos) && vocabulary.bos >= 0;
    if (const Json* chat = member(root, "chat_template")) {
        if (chat->is_string()) {
            vocabulary.chat_template = chat->get<std::string>();
        } else if (chat->is_array()) {
            // Several by name: the one called "default", else the first.
            for (const Json& named : *chat) {
                const std::string* name = text_member(named, "name");
                const std::string* text = text_member(named, "template");
                if (text == nullptr) continue;
                const bool chosen = name != nullptr && *name == "default";
                if (chosen || vocabulary.chat_template.empty()) vocabulary.chat_template = *text;
                if (chosen) break;
            }
        }
    }
    return Status::ok;
}

}  // namespace linnet
