#include "core/session/generate.h"

#include "core/session/session.h"
#include "core/text/text_stream.h"

namespace linnet {

namespace {

constexpr size_t text_capacity = 512;  // what one token can bring, see linnet_detokenize

// Text that is not certain yet: the end of it could be the beginning of a stop string.
class HeldText {
public:
    HeldText(const char* const* stops, uint32_t count) : stops_(stops), count_(count) {}

    char* end() { return text_ + length_; }
    void grow(size_t bytes) { length_ += bytes; }
    const char* text() const { return text_; }
    size_t length() const { return length_; }

    // Where the first stop string begins; length() when there is none.
    size_t find_stop() const {
        for (size_t at = 0; at < length_; ++at) {
            for (uint32_t i = 0; i < count_; ++i) {
                if (matches(stops_[i], at) == Match::whole) return at;
            }
        }
        return length_;
    }

    // Bytes from the front that no stop string can begin in.
    size_t certain() const {
        for (size_t at = 0; at < length_; ++at) {
            for (uint32_t i = 0; i < count_; ++i) {
                if (matches(stops_[i], at) == Match::beginning) return at;
            }
        }
        return length_;
    }

    void drop(size_t bytes) {
        memmove(text_, text_ + bytes, length_ - bytes);
        length_ -= bytes;
    }

private:
    enum class Match { none, beginning, whole };

    Match matches(const char* stop, size_t at) const {
        size_t i = 0;
        while (stop[i] != 0 && at + i < length_ && text_[at + i] == stop[i]) ++i;
        return stop[i] == 0 ? Match::whole : at + i == length_ ? Match::beginning : Match::none;
    }

    const char* const* stops_;
    uint32_t count_;
    size_t length_ = 0;
    char text_[LINNET_MAX_STOP_BYTES + text_capacity];
};

Status check(const linnet_model& model, const linnet_generation& generation, Error& error) {
    if ((generation.text_flags & ~uint32_t{LINNET_TEXT_SPECIAL}) != 0 || generation.ignore_end > 1) {
        return error.fail(Status::bad_argument)
               << "linnet_generation has unknown text_flags, or an ignore_end that is not 0 or 1.";
    }
    if (generation.stop_count > LINNET_MAX_STOPS) {
        return error.fail(Status::bad_argument) << "At most " << LINNET_MAX_STOPS << " stop strings can be given.";
    }
    if (generation.stop_count != 0 && !model.tokenizer.available()) {
        return error.fail(Status::unsupported)
               << "This model file has no tokenizer that Linnet can use, so there is no text to "
                  "look for stop strings in.";
    }
    for (uint32_t i = 0; i < generation.stop_count; ++i) {
        size_t bytes = 0;
        while (bytes <= LINNET_MAX_STOP_BYTES && generation.stops[i][bytes] != 0) ++bytes;
        if (bytes == 0 || bytes > LINNET_MAX_STOP_BYTES) {
            return error.fail(Status::bad_argument)
                   << "A stop string must have from 1 to " << LINNET_MAX_STOP_BYTES << " bytes.";
        }
    }
    return Sampler::check(generation.sampling, error);
}

}  // namespace

Status choose_next(linnet_session& session, const linnet_sampling& sampling, int32_t& token, Error& error) {
    if (!session.has_logits) {
        return error.fail(Status::bad_argument) << "There are no logits to sample from: evaluate a token first.";
    }
    const uint32_t window = sampling.repetition_window;
    const uint32_t recent = window == 0 || window > session.length ? session.length : window;
    return session.sampler.choose(session.logits, session.model->header.config.usable_vocabulary, sampling,
                                  session.tokens + (session.length - recent), recent, token, error);
}

bool is_end(const ModelConfig& config, int32_t token) {
    for (uint32_t i = 0; i < config.eos_count; ++i) {
        if (config.eos_tokens[i] == token) return true;
    }
    return false;
}

Status generate(linnet_session& session, const linnet_generation& generation, linnet_generated& generated, Error& error) {
    linnet_model& model = *session.model;
    generated = {};
    generated.end_token = generated.pending_token = -1;
    if (Status status = check(model, generation, error); status != Status::ok) return status;
    const bool special = (generation.text_flags & LINNET_TEXT_SPECIAL) != 0;
    HeldText held(generation.stops, generation.stop_count);
    linnet_text_stream stream{};
    const auto show = [&](int32_t token, float logit, size_t bytes) {
        const int32_t answer =
            generation.piece != nullptr ? generation.piece(generation.context, token, logit, held.text(), bytes) : 0;
        held.drop(bytes);
        return answer == 0;
    };
    while (generated.finish == 0) {
        int32_t token = -1;
        if (generation.max_tokens != 0 && generated.tokens == generation.max_tokens) {
            generated.finish = LINNET_FINISH_LENGTH;
            break;
        }
        // The token before is evaluated only now, when another one is wanted.
        if (generated.pending_token >= 0) {
            if (session.length == model.plan.context) {
                generated.finish = LINNET_FINISH_CONTEXT;
                break;
            }
            const Status status = evaluate(session, &generated.pending_token, 1, nullptr, nullptr, error);
            if (status == Status::cancelled) {
                generated.finish = LINNET_FINISH_CANCELLED;
                break;
            }
            if (status != Status::ok) return status;
            generated.pending_token = -1;
        }
        if (Status status = choose_next(session, generation.sampling, token, error); status != Status::ok) return status;
        if (generation.ignore_end == 0 && is_end(model.header.config, token)) {
            generated.finish = LINNET_FINISH_END;
            generated.end_token = token;
            break;
        }
        const float logit = session.logits[token];
        if (model.tokenizer.available()) {
            size_t bytes = 0;
            Status status = stream_token(model.tokenizer, stream, token, special, held.end(), text_capacity, bytes, error);
            if (status != Status::ok) return status;
            held.grow(bytes);
        }
        generated.pending_token = token;
        ++generated.tokens;
        const size_t stop = held.find_stop();
        if (stop != held.length()) {
            show(token, logit, stop);
            generated.finish = LINNET_FINISH_STOP;
            return Status::ok;
        }
        if (!show(token, logit, held.certain())) generated.finish = LINNET_FINISH_CANCELLED;
    }
    // What was held back for a stop string that did not come, and for a character that was not completed.
    size_t bytes = 0;
    stream_end(stream, held.end(), text_capacity, bytes);
    held.grow(bytes);
    if (held.length() != 0) show(-1, 0.0f, held.length());
    return Status::ok;
}

}  // namespace linnet
