// Hugging Face folders.
#include "tools/converter/source.h"

namespace linnet {

Status open_hugging_face(InputFolder&, const SourceOptions&, SourceModel&, Error& error) {
    return error.fail(Status::unsupported) << "Hugging Face folders are not read yet.";
}

}  // namespace linnet
