/* Linnet: a language model where the person is. The public C API and its manual.
 *
 * C11-clean; C++20 inside. No globals, no heap, no exceptions, no stdio: the caller gives the memory (one arena) and a
 * `linnet_platform` (platform/platform.h) through which the model file is read. Any number of models can be open at a
 * time, each in an arena of its own. A model and its sessions belong to one thread at a time; `linnet_stop` may be
 * called from any thread or interrupt.
 *
 *     linnet_options options = linnet_default_options();
 *     linnet_plan plan;
 *     linnet_error error;
 *     if (linnet_make_plan(&platform, &options, &plan, &error)) return complain(error.text);
 *     void* arena = get_memory(plan.total_bytes);                        // aligned to LINNET_ARENA_ALIGNMENT
 *     linnet_model* model;
 *     if (linnet_open(&platform, &options, arena, plan.total_bytes, &model, &error)) return complain(error.text);
 *     linnet_session* session;
 *     linnet_session_open(model, &session, &error);
 *     linnet_evaluate(session, tokens, token_count, &error);             // prefill
 *     while (...) { linnet_sample(session, &sampling, &token, &error); linnet_evaluate(session, &token, 1, &error); }
 *
 * Every function that can fail returns a linnet_status and, where it takes a linnet_error, fills in a sentence that says
 * what happened and what can be done. After a failure the model and session are as they were before the call, except
 * where a function says otherwise. Results are the same bits on every target, thread count, batch size and memory plan.
 */
#ifndef LINNET_H
#define LINNET_H

#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINNET_API_VERSION 1u
#define LINNET_ARENA_ALIGNMENT 64u
#define LINNET_MAX_STOP_TOKENS 8u

typedef int32_t linnet_status;
enum {
    LINNET_OK = 0,
    LINNET_BAD_ARGUMENT = 2, /* the call asks for what is not possible */
    LINNET_BAD_FILE = 3,     /* the model file is malformed or damaged */
    LINNET_DOES_NOT_FIT = 4, /* the arena, the ceiling or the context is too small */
    LINNET_IO = 5,           /* the platform could not read */
    LINNET_CANCELLED = 6,    /* linnet_stop was called, or platform.yield asked for it */
    LINNET_UNSUPPORTED = 7   /* well-formed, but more than this version can do */
};

typedef struct linnet_error {
    linnet_status status;
    char text[320]; /* UTF-8, one sentence, terminated, no control characters */
} linnet_error;

typedef struct linnet_model linnet_model;
typedef struct linnet_session linnet_session;

/* ---- options and plan ------------------------------------------------------------------------------------------- */

enum { LINNET_KV_INT8 = 1, LINNET_KV_F16 = 2, LINNET_KV_F32 = 3, LINNET_KV_INT4 = 4 };

typedef struct linnet_options {
    uint32_t version;   /* LINNET_API_VERSION */
    uint32_t context;   /* tokens a session holds; 0: the model's own context, at most 4096 */
    uint32_t kv_format; /* LINNET_KV_INT8 (default), LINNET_KV_INT4, LINNET_KV_F16, LINNET_KV_F32 */
    uint32_t batch;     /* tokens a prefill pass computes together, 1..512; 0: 64 */
    uint32_t sessions;  /* sessions that can be open at the same time, 1..64; 0: 1 */
    uint64_t memory;    /* ceiling in bytes; 0: whatever the plan needs */
    /* Of that ceiling, what the program around the model needs itself (its code, stacks and buffers): the arena gets that much
     * less, and the smallest ceiling that an error names has it in it. 0: the ceiling is the arena's alone. */
    uint64_t program_bytes;
    const char* kernels; /* "scalar", "avx2", "avx512", ...; null: the best that this processor runs */
    uint32_t verify;     /* 1: the weights' checksums are compared while they load (default); 0: not */
    uint32_t text_only;  /* 1: no weights and no sessions, only the tokenizer and the chat template; 0: all (default) */
    uint32_t text_run;   /* bytes of text without a word boundary that linnet_tokenize can take; 0: 16384 */
} linnet_options;

linnet_options linnet_default_options(void);

/* Bytes by purpose. total_bytes is what the arena must have: the core uses nothing else.
 *
 * Where everything fits, weights and KV caches have their fixed places. Where it does not, they share a pool of pages: the
 * weights are cut into pieces of whole rows, a page each; some stay, the others are read from storage in each pass, evenly
 * between those that stay, through a ring of pages. As a conversation grows, its KV cache takes pages from the weights. Keys and
 * values that find no page are written to the platform's scratch storage and read back in each pass. The figures are those
 * of full contexts unless they say otherwise. */
typedef struct linnet_plan {
    uint64_t weights_bytes;    /* weights held in the arena; 0 where the platform maps them */
    uint64_t mapped_bytes;     /* weights used in place through platform.map */
    uint64_t ring_bytes;       /* pages that streamed weights, keys and values pass through */
    uint64_t kv_bytes;         /* KV caches of all sessions that are held in the arena */
    uint64_t activation_bytes; /* working memory of a pass */
    uint64_t tokenizer_bytes;
    uint64_t session_bytes; /* token history, logits, sampler of all sessions */
    uint64_t other_bytes;   /* the model's own structures, RoPE tables, alignment */
    uint64_t total_bytes;
    uint32_t context;         /* tokens */
    uint32_t batch;           /* tokens that are computed together */
    uint32_t span;            /* tokens of a prompt that one pass over the weights serves; a multiple of the batch */
    uint32_t layers_resident; /* layers of which nothing is streamed */
    uint32_t layers_streamed; /* the others */
    uint32_t page_bytes;      /* of a piece of weights or of a KV cache; 0: no pages, everything has its fixed place */
    uint32_t pages;           /* of the pool, the ring included */
    uint32_t pieces;          /* that the weights are cut into */
    uint32_t pieces_resident;
    uint32_t pieces_resident_at_start; /* while each KV cache is in its first pages */
    uint64_t streamed_bytes_per_pass;  /* weights read from storage in each pass over them */
    uint64_t streamed_bytes_per_pass_at_start;
    uint64_t spilled_bytes;          /* keys and values in the scratch storage; read once in each pass of a session */
    uint64_t weight_bytes_per_token; /* weights a decoded token reads, wherever they lie */
    uint64_t kv_bytes_per_token;     /* keys and values that it reads, wherever they lie */
} linnet_plan;

/* Reads the header only. LINNET_DOES_NOT_FIT names the smallest ceiling that would do. */
linnet_status linnet_make_plan(const linnet_platform* platform, const linnet_options* options, linnet_plan* plan,
                               linnet_error* error);

/* ---- speed: measured, and predicted ------------------------------------------------------------------------------ */

typedef struct linnet_rates {
    double read_bytes_per_second;    /* from storage, the way weights stream; 0: not measured, the platform maps them */
    double compute_bytes_per_second; /* weights multiplied with one token's activations, from memory */
    uint64_t read_bytes;             /* that were read to measure */
    uint64_t microseconds;           /* that it took */
    double use_bytes_per_second;     /* weights that stream: compared with their checksum, and multiplied; 0: not measured */
    /* 0..1: of the shorter of reading and computing, the part that is not done while the longer one goes on. 0 where the storage
     * works alone, near 1 where reading is copying by the processors that compute. */
    double not_hidden;
} linnet_rates;

/* Memory for linnet_measure that is larger than the caches of usual processors. */
#define LINNET_MEASURE_BYTES (UINT64_C(64) << 20)

/* Measures the rates with weights of this model, the kernels and threads of a decoded token and reads of the plan's page size,
 * in less than a second, or somewhat more on slow storage. `memory` is aligned to 4096; less of it than LINNET_MEASURE_BYTES works
 * (LINNET_DOES_NOT_FIT says how much is the least), but weights that fit into the caches are faster than those that do not.
 * What the system's cache holds of the file is read from there, now as later. Needs platform.ticks. */
linnet_status linnet_measure(const linnet_platform* platform, const linnet_options* options, void* memory, size_t bytes,
                             linnet_rates* rates, linnet_error* error);

/* Seconds for one decoded token: the longer of reading and of computing, and not_hidden of the shorter one.
 *     reading   = (weights that stream + keys and values in the scratch storage) / read_bytes_per_second
 *     computing = (weights that a token reads + its keys and values) / compute_bytes_per_second,
 *                 what streams at use_bytes_per_second
 * full_context 1: with the context full; 0: at the start, where keys and values are next to nothing. 0: not known. */
double linnet_predict_token_seconds(const linnet_plan* plan, const linnet_rates* rates, int32_t full_context);

/* ---- model ------------------------------------------------------------------------------------------------------ */

/* Opens the model in `arena` (at least plan.total_bytes, aligned to LINNET_ARENA_ALIGNMENT), which belongs to the model
 * until linnet_close. `platform` is copied; what it points to must outlive the
 * model. Options are the ones that the plan was made with. */
linnet_status linnet_open(const linnet_platform* platform, const linnet_options* options, void* arena, size_t arena_bytes,
                          linnet_model** model, linnet_error* error);

/* Waits for reads that were begun ahead of their use, so that the platform has none under way: before linnet_measure with a
 * platform that an open model uses. The model goes on as before. */
void linnet_settle(linnet_model* model);

/* Ends the model: settles it, after which nothing writes to the arena any more. Where the plan streams nothing (page_bytes 0) an
 * arena may as well be forgotten. Null is allowed. */
void linnet_close(linnet_model* model);

typedef struct linnet_info {
    const char* name; /* not terminated: name_bytes long */
    uint32_t name_bytes;
    uint32_t vocabulary; /* length of a row of logits */
    uint32_t hidden, layers, heads, kv_heads, head_dim, feed_forward;
    uint32_t context;               /* of a session, as planned */
    uint32_t model_context;         /* what the model was trained for */
    uint32_t window_keys;           /* sliding window; 0: none */
    uint32_t has_tokenizer;         /* 0: linnet_tokenize and the like are refused */
    uint32_t chat_template;         /* 0: none; else a ChatTemplate of core/model/format.h */
    const char* chat_template_name; /* "none", "phi-3", "phi-3.5", "phi-4-mini", "llama-2", "zephyr", "chatml" */
    const char* kernels;            /* the kernel family in use */
    int32_t bos_token;              /* -1: none */
    uint32_t eos_count;
    int32_t eos_tokens[LINNET_MAX_STOP_TOKENS];
    uint64_t parameters; /* weights in the model's matrices and vectors */
} linnet_info;

void linnet_get_info(const linnet_model* model, linnet_info* info);

/* ---- text ------------------------------------------------------------------------------------------------------- */

enum {
    LINNET_TEXT_PLAIN = 0,
    LINNET_TEXT_SPECIAL = 1, /* "<|user|>" and the like become their tokens. Never for text from a user. */
    LINNET_TEXT_NO_BOS = 2   /* do not begin with the model's BOS token even if the model asks for it */
};

/* Text to tokens. Writes at most `capacity` and sets *count to the number there are, so that a first call with
 * capacity 0 measures. Equal to SentencePiece on any bytes. Text of any length, in the arena's memory: only a run of
 * more than options.text_run bytes without any word boundary is LINNET_DOES_NOT_FIT. */
linnet_status linnet_tokenize(linnet_model* model, const char* text, size_t text_bytes, uint32_t flags, int32_t* tokens,
                              size_t capacity, size_t* count, linnet_error* error);

/* Tokens to text, piece by piece: whole UTF-8 characters only. Zero-initialise for a new text. */
typedef struct linnet_text_stream {
    uint8_t started; /* 1: the dummy space of the first piece has been dealt with */
    uint8_t pending_bytes;
    uint8_t pending[6];
} linnet_text_stream;

/* Appends one token's text to `text` (capacity at least 512): UTF-8, not terminated, *text_bytes long, possibly empty.
 * Special tokens give nothing unless flags has LINNET_TEXT_SPECIAL. */
linnet_status linnet_detokenize(const linnet_model* model, linnet_text_stream* stream, int32_t token, uint32_t flags,
                                char* text, size_t capacity, size_t* text_bytes, linnet_error* error);
/* What was held back at the end: an incomplete character becomes U+FFFD. */
void linnet_detokenize_end(linnet_text_stream* stream, char* text, size_t capacity, size_t* text_bytes);

enum { LINNET_ROLE_SYSTEM = 0, LINNET_ROLE_USER = 1, LINNET_ROLE_ASSISTANT = 2 };

typedef struct linnet_message {
    uint32_t role;
    const char* text; /* UTF-8, never parsed for special tokens */
    size_t text_bytes;
} linnet_message;

enum {
    LINNET_CHAT_ANSWER = 1,   /* end where the assistant's answer begins */
    LINNET_CHAT_CONTINUES = 2 /* begin with what closes the answer that the session has just generated; no BOS */
};

/* A conversation to tokens by the model's own chat template. Capacity as in linnet_tokenize. A conversation that goes on
 * in the same session is best extended: the new messages alone with LINNET_CHAT_CONTINUES | LINNET_CHAT_ANSWER, evaluated
 * after what the session holds, so that nothing is computed twice. */
linnet_status linnet_chat_tokens(linnet_model* model, const linnet_message* messages, size_t message_count, uint32_t flags,
                                 int32_t* tokens, size_t capacity, size_t* count, linnet_error* error);

/* What to forget when a conversation outgrows the context: sets *forgotten to the fewest of the oldest messages (after a
 * system message in first place, which stays) that must go, so that the rest with the start of an answer leaves room for
 * `answer_tokens` more; a conversation then begins with a question of the user. LINNET_DOES_NOT_FIT when the last message
 * alone is too long. The tokens are those of the messages that are kept: { system message, messages[first + forgotten..] }
 * with first = 1 where messages[0] is a system message, else 0. */
linnet_status linnet_chat_fit(linnet_model* model, const linnet_message* messages, size_t message_count, uint32_t answer_tokens,
                              size_t* forgotten, linnet_error* error);

/* ---- sessions: one conversation, its KV cache and its tokens ------------------------------------------------------ */

linnet_status linnet_session_open(linnet_model* model, linnet_session** session, linnet_error* error);
void linnet_session_close(linnet_session* session);

/* Tokens evaluated so far, and what they are. */
uint32_t linnet_length(const linnet_session* session);
const int32_t* linnet_tokens(const linnet_session* session);

/* Forgets all but the first `length` tokens. */
linnet_status linnet_rewind(linnet_session* session, uint32_t length, linnet_error* error);

/* Makes `to` what `from` is, tokens, keys and values, logits and random numbers; both are open sessions of one model. An
 * evaluation that is under way in `from` goes on there; what it has not computed yet is computed in `to` by its next one. */
linnet_status linnet_session_copy(linnet_session* to, const linnet_session* from, linnet_error* error);

/* A session kept outside of memory. Only positions in use are written, front to back, straight from their place and back to it,
 * so that no second copy is needed. A restored session goes on with the same bits as one that was never saved. `write` and
 * `read` move exactly `count` bytes and return 0, else the call ends with LINNET_IO. */
typedef int32_t (*linnet_snapshot_write)(void* context, const void* bytes, size_t count);
typedef int32_t (*linnet_snapshot_read)(void* context, void* bytes, size_t count);
uint64_t linnet_snapshot_bytes(const linnet_session* session); /* that linnet_snapshot_save writes as it stands */
linnet_status linnet_snapshot_save(const linnet_session* session, linnet_snapshot_write write, void* context,
                                   linnet_error* error);
/* `bytes`: what there is to read. LINNET_BAD_ARGUMENT where it is of another model or another kv_format, LINNET_DOES_NOT_FIT where
 * the context is too small for it, LINNET_BAD_FILE where it is damaged. A failure leaves the session
 * empty. */
linnet_status linnet_snapshot_restore(linnet_session* session, uint64_t bytes, linnet_snapshot_read read, void* context,
                                      linnet_error* error);

/* Evaluates `count` more tokens (prefill and decode are the same call). LINNET_DOES_NOT_FIT, and nothing done, when the
 * context would overflow. Crossing a LongRoPE model's original context evaluates the whole history anew, as the
 * reference does. When cancelled or failed in between, the tokens of the finished batches stay. */
linnet_status linnet_evaluate(linnet_session* session, const int32_t* tokens, size_t count, linnet_error* error);

/* The same, and calls `each` with the logits of every one of the `count` tokens in order. */
typedef void (*linnet_logits_callback)(void* context, uint32_t position, const float* logits);
linnet_status linnet_evaluate_all(linnet_session* session, const int32_t* tokens, size_t count, linnet_logits_callback each,
                                  void* context, linnet_error* error);

/* The same as linnet_evaluate in pieces, for a caller that must come back to other things soon (an event loop, a watchdog):
 *
 *     linnet_evaluate_begin(session, tokens, count, &error);
 *     do { status = linnet_evaluate_continue(session, 20000, &progress, &error); ... } while (status == LINNET_OK && !progress.done);
 *
 * `begin` checks and takes the tokens: linnet_length counts them at once. `continue` computes for about `microseconds`: at least
 * one piece, some milliseconds of a part of one layer, and that one alone where the platform has no clock; UINT32_MAX: all of it.
 * The bits are those of linnet_evaluate. Meanwhile anything may be done with this or another session: another one's evaluation costs this one the
 * batch that it was in (it is computed again), linnet_rewind to a shorter length ends this one's (what was begun and is not
 * forgotten is computed by the next evaluation), and further tokens given to this session follow those that were begun.
 * A failure or LINNET_CANCELLED leaves what linnet_evaluate leaves, and ends the evaluation. */
typedef struct linnet_progress {
    uint32_t done;     /* 1: all is computed, and linnet_logits has what comes after the last token */
    uint32_t tokens;   /* that this evaluation computes in all, those that are computed again included */
    float tokens_done; /* of these; a batch counts layer by layer */
} linnet_progress;

linnet_status linnet_evaluate_begin(linnet_session* session, const int32_t* tokens, size_t count, linnet_error* error);
/* LINNET_BAD_ARGUMENT when nothing is under way. `progress` may be null. */
linnet_status linnet_evaluate_continue(linnet_session* session, uint32_t microseconds, linnet_progress* progress,
                                       linnet_error* error);

/* Makes the session hold exactly these tokens, evaluating only what differs from what it holds (the longest common
 * prefix is kept), at least the last one. *evaluated (may be null) is how many were computed. */
linnet_status linnet_set_tokens(linnet_session* session, const int32_t* tokens, size_t count, size_t* evaluated,
                                linnet_error* error);

/* Logits after the last evaluated token, float[vocabulary]; null before the first. Valid until the next call. */
const float* linnet_logits(const linnet_session* session);

/* Asks a running linnet_evaluate (or the next linnet_evaluate_continue) to return LINNET_CANCELLED soon. Any thread. Cleared when
 * it does. */
void linnet_stop(linnet_model* model);

/* ---- sampling ---------------------------------------------------------------------------------------------------- */

typedef struct linnet_sampling {
    float temperature;          /* 0: the most likely token, the lowest id among equals. 0..10 */
    uint32_t top_k;             /* keep the k most likely; 0: all */
    float top_p;                /* keep the fewest whose probabilities reach p; 1: all. (0, 1] */
    float min_p;                /* drop those below min_p times the most likely; 0: none. [0, 1] */
    float repetition_penalty;   /* divides positive and multiplies negative logits of recent tokens; 1: none. (0, 10] */
    uint32_t repetition_window; /* how many recent tokens that looks at; 0: all of the session */
    uint64_t seed;              /* a session's random numbers restart when the seed changes */
} linnet_sampling;

linnet_sampling linnet_default_sampling(void); /* temperature 0.7, top_k 40, top_p 0.95, min_p 0.05, penalty 1, seed 0 */

/* Chooses the next token from linnet_logits(session). Order of the filters: penalty, top_k, temperature, top_p, min_p. */
linnet_status linnet_sample(linnet_session* session, const linnet_sampling* sampling, int32_t* token, linnet_error* error);
/* The next choice begins its seed's random numbers anew, although the seed has not changed. */
void linnet_restart_sampling(linnet_session* session);

/* 1 if this token ends a reply. */
int32_t linnet_is_end(const linnet_model* model, int32_t token);

/* ---- generation -------------------------------------------------------------------------------------------------- */

typedef int32_t linnet_finish;
enum {
    LINNET_FINISH_END = 1,      /* the model ended its reply */
    LINNET_FINISH_STOP = 2,     /* a stop string came up; the text ends before it */
    LINNET_FINISH_LENGTH = 3,   /* max_tokens were generated */
    LINNET_FINISH_CONTEXT = 4,  /* the context is full */
    LINNET_FINISH_CANCELLED = 5 /* linnet_stop, platform.yield or the callback's answer */
};

enum { LINNET_SPECULATE_AUTO = 0, LINNET_SPECULATE_ON = 1, LINNET_SPECULATE_OFF = 2 };

#define LINNET_MAX_STOPS 16u
#define LINNET_MAX_STOP_BYTES 128u

typedef struct linnet_generation {
    linnet_sampling sampling;
    uint32_t max_tokens;      /* 0: as many as the context has room for */
    uint32_t text_flags;      /* LINNET_TEXT_SPECIAL: special tokens are shown */
    uint32_t ignore_end;      /* 1: go on past tokens that end a reply (benchmarks, base models) */
    const char* const* stops; /* stop strings, UTF-8, terminated, each 1..LINNET_MAX_STOP_BYTES bytes */
    uint32_t stop_count;      /* at most LINNET_MAX_STOPS */
    /* Each token as it is chosen, with its logit and the text that is certain by now (whole characters; what could be the
     * beginning of a stop string is held back; possibly empty). May be null. An answer other than 0 ends the generation. */
    int32_t (*piece)(void* context, int32_t token, float logit, const char* text, size_t text_bytes);
    void* context;
    /* What may come next is guessed from where the session's last tokens have stood before, and computed in the same pass over
     * the weights: fewer passes where a text is summarised, edited or quoted, and the same tokens, bit for bit, always. */
    uint32_t speculate; /* LINNET_SPECULATE_AUTO (default): where weights are streamed, a pass being what costs there */
} linnet_generation;

typedef struct linnet_generated {
    linnet_finish finish;
    uint32_t tokens;       /* generated, an end token not counted */
    int32_t end_token;     /* that ended the reply, -1: none. Not evaluated: LINNET_CHAT_CONTINUES brings it */
    int32_t pending_token; /* the last token given to `piece` where it has not been evaluated (every finish but
                            * LINNET_FINISH_END): a session that goes on evaluates it first. -1: none */
    uint32_t passes;       /* evaluations that were made: each brought one token, and those that were accepted beside it */
    uint32_t drafted;      /* tokens that were guessed */
    uint32_t accepted;     /* of these, tokens that were chosen */
} linnet_generated;

linnet_generation linnet_default_generation(void);

/* Samples and evaluates token after token, from the logits that the session has. Text held back comes in a last call of
 * `piece` with token -1. linnet_stop ends it with LINNET_OK and LINNET_FINISH_CANCELLED. */
linnet_status linnet_generate(linnet_session* session, const linnet_generation* generation, linnet_generated* generated,
                              linnet_error* error);

/* The same step by step, for a caller that must come back to other things soon:
 *
 *     linnet_generate_begin(session, &generation, &error);
 *     do {
 *         status = linnet_generate_continue(session, 20000, &step, &error);
 *         if (status == LINNET_OK) show(step.text, step.text_bytes);
 *     } while (status == LINNET_OK && step.generated.finish == 0);
 *
 * `generation.piece` is not called; its stop strings must stay until the end. `continue` brings one token, or comes back without
 * one after about `microseconds` (as linnet_evaluate_continue does; UINT32_MAX: it stays until there is one). A failure ends the
 * generation, and so does whatever else changes the session's tokens meanwhile. */
typedef struct linnet_step {
    int32_t token;    /* that was chosen; -1: none in this step */
    float logit;      /* the token's */
    const char* text; /* that is certain by now, not terminated; valid until the session's next call */
    size_t text_bytes;
    uint32_t paused;            /* 1: the time is over and there is no token yet: continue */
    linnet_progress progress;   /* then: of the evaluation that is under way */
    linnet_generated generated; /* so far; `finish` other than 0: this was the last step */
} linnet_step;

linnet_status linnet_generate_begin(linnet_session* session, const linnet_generation* generation, linnet_error* error);
/* LINNET_BAD_ARGUMENT when no generation is under way. */
linnet_status linnet_generate_continue(linnet_session* session, uint32_t microseconds, linnet_step* step, linnet_error* error);
/* Ends it as LINNET_FINISH_CANCELLED, wherever it is; the step has the text that was held back. Nothing where none is under way. */
void linnet_generate_end(linnet_session* session, linnet_step* step);

/* ---- statistics -------------------------------------------------------------------------------------------------- */

typedef struct linnet_stats {
    uint64_t prefill_tokens, prefill_microseconds; /* evaluate calls of more than one token */
    uint64_t decode_tokens, decode_microseconds;   /* evaluate calls of one token */
    uint64_t bytes_read;                           /* through the platform, since open */
    uint64_t arena_bytes;
    uint64_t bytes_streamed; /* of these, weights that had no place in the arena */
    uint64_t scratch_bytes_read, scratch_bytes_written;
    uint64_t passes;   /* over the weights */
    uint64_t rebuilds; /* times a LongRoPE boundary made the session evaluate anew */
} linnet_stats;

void linnet_get_stats(const linnet_session* session, linnet_stats* stats);

const char* linnet_status_name(linnet_status status);

#ifdef __cplusplus
}
#endif
#endif
