// Between the core's structures and JavaScript's values.
#pragma once

#include <emscripten/val.h>

#include <string>
#include <vector>

#include "core/linnet.h"

namespace linnet {

// { status: "ok" } or { status: "bad file", text: "…" }: how every call that can fail answers.
emscripten::val answer(linnet_status status, const linnet_error& error);
emscripten::val refusal(linnet_status status, const char* text);

inline constexpr const char* no_session = "There is no such session, or it has been closed.";

// Fields that are absent keep what `options` has. Names are checked by the package in JavaScript.
void read_options(const emscripten::val& from, linnet_options& options, std::string& kernels);
void read_sampling(const emscripten::val& from, linnet_sampling& sampling);

// Rates that are 0 are not known, nor is what is predicted from them.
void write_plan(const linnet_plan& plan, const linnet_options& options, const linnet_rates& rates, emscripten::val& to);
emscripten::val info_value(const linnet_info& info);
emscripten::val stats_value(const linnet_stats& stats);

// What a token's calls answer where nothing failed, as wasm/bindings/model.h describes it.
emscripten::val step_value(const linnet_step& step);
emscripten::val progress_value(const linnet_progress& progress, uint32_t evaluated);

// A copy: Int32Array.
emscripten::val token_array(const int32_t* tokens, size_t count);
std::vector<int32_t> token_vector(const emscripten::val& tokens);

}  // namespace linnet
