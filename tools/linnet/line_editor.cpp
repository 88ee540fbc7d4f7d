#include "tools/linnet/line_editor.h"

#include <histedit.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/linnet/command.h"
#include "tools/linnet/terminal.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define LINNET_LEAKS_IN_LIBRARY __lsan::ScopedDisabler disabler
#endif
#endif
#ifndef LINNET_LEAKS_IN_LIBRARY
#define LINNET_LEAKS_IN_LIBRARY (void)0
#endif

namespace linnet {

struct LineEditor::Editor {
    EditLine* edit = nullptr;
    History* history = nullptr;
    HistEvent event{};
    bool interrupted = false;

    static char* prompt(EditLine*) {
        static char text[] = "> ";
        return text;
    }
    static unsigned char give_up(EditLine* edit, int) {
        void* self = nullptr;
        el_get(edit, EL_CLIENTDATA, &self);
        static_cast<Editor*>(self)->interrupted = true;
        return CC_NEWLINE;
    }

    bool start() {
        edit = el_init("linnet", stdin, stdout, stderr);
        if (edit == nullptr) return false;
        history = history_init();
        if (history == nullptr) return false;
        ::history(history, &event, H_SETSIZE, 1000);
        ::history(history, &event, H_SETUNIQUE, 1);
        el_set(edit, EL_CLIENTDATA, this);
        el_set(edit, EL_SIGNAL, 1);
        el_set(edit, EL_EDITOR, "emacs");
        el_set(edit, EL_PROMPT, prompt);
        el_set(edit, EL_HIST, ::history, history);
        // While a line is edited Ctrl-C is a key, which gives up the line; at other times it is the terminal's signal.
        {
            // el_end() does not give back the two strings that libedit 3.1 copies here: 128 bytes, once.
            LINNET_LEAKS_IN_LIBRARY;
            el_set(edit, EL_ADDFN, "linnet-give-up", "give up the line", give_up);
        }
        el_set(edit, EL_SETTY, "-d", "-isig", nullptr);
        el_set(edit, EL_BIND, "^C", "linnet-give-up", nullptr);
        el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
        return true;
    }
    ~Editor() {
        if (edit != nullptr) el_end(edit);
        if (history != nullptr) history_end(history);
    }
};

LineEditor::LineEditor() {
    if (!stdin_is_terminal() || !stdout_is_terminal()) return;
    editor_ = std::make_unique<Editor>();
    if (!editor_->start()) editor_.reset();
}

LineEditor::~LineEditor() = default;

LineEditor::Result LineEditor::read(std::string& line) {
    line.clear();
    if (editor_ == nullptr) {
        char* text = nullptr;
        size_t room = 0;
        errno = 0;
        const ssize_t count = getline(&text, &room, stdin);
        if (count >= 0) line.assign(text, static_cast<size_t>(count));
        free(text);
        if (count < 0) return !feof(stdin) && errno == EINTR ? Result::interrupted : Result::end;
    } else {
        editor_->interrupted = false;
        int count = 0;
        errno = 0;
        const char* text = el_gets(editor_->edit, &count);
        // The signal itself comes in the moment before the terminal is the editor's.
        if (editor_->interrupted || (text == nullptr && errno == EINTR)) {
            print("^C\n");
            flush_output();
            return Result::interrupted;
        }
        if (text == nullptr || count <= 0) return Result::end;
        line = text;
        if (line.find_first_not_of(" \t\r\n") != std::string::npos) {
            history(editor_->history, &editor_->event, H_ENTER, text);
        }
    }
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
    return Result::line;
}

}  // namespace linnet
