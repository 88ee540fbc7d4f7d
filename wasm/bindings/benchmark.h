// How fast a table's int4 kernels are on this machine and in this engine: which table is best differs between processors.
#pragma once

#include <string>
#include <vector>

namespace linnet {

// Names of the tables in this build, best guess first; the scalar one last.
std::vector<std::string> kernel_names();

// Multiply-accumulates a microsecond of the int4 kernel of table `name` for `tokens` tokens, over `megabytes` of weights read
// one after the other, best of `rounds`. 0 where there is no such table.
double measure_kernels(const std::string& name, unsigned tokens, unsigned megabytes, unsigned rounds);

}  // namespace linnet
