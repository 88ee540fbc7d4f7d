// Lines from a person: edited, with a history, where there is a terminal; as they come elsewhere.
#pragma once

#include <memory>
#include <string>

namespace linnet {

class LineEditor {
public:
    LineEditor();
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    bool interactive() const { return editor_ != nullptr; }
    enum class Result { line, interrupted, end };
    // One line without its end. Interrupted: Ctrl-C was pressed while there was no line yet, or the line is given up.
    Result read(std::string& line);

private:
    struct Editor;
    std::unique_ptr<Editor> editor_;
};

}  // namespace linnet
