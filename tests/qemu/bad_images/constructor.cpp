// A program with a variable that is filled in before main. Must be found.
extern "C" void say(const char* text);

namespace {

struct Line {
    Line() { say("before main\n"); }
    int length = 1;
};
Line line;

}  // namespace

int main() { return line.length; }
