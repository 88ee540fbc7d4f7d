// What `linnet bench` says of the machine, and how long a model takes to its first token on it.
#pragma once

#include "tools/bench/report.h"
#include "tools/linnet/loaded_model.h"

namespace linnet {

MachineReport describe_machine();
// Bytes of this process's memory that stand in huge pages now; 0 where the system does not say.
uint64_t huge_page_bytes();

// Seconds from nothing to the logits of the first token, with a context of so many tokens.
struct Start {
    double first_token_seconds;
    double loading_seconds;
};
Start start_model(LoadedModel& model, uint32_t context, double seconds_before);

// Takes the file out of the system's cache as far as the system lets it go. False: it is still in it, as files in memory are.
bool drop_from_cache(const std::string& path);

// Starts the model once with nothing of it in the system's cache, gives its memory back, and reads the file the same way: fills
// in `cold_seconds` and `storage_bytes_per_second`. Throws a Failure.
void measure_cold_start(const ModelChoices& choices, uint32_t context, LoadReport& report);

}  // namespace linnet
