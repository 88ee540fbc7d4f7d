// The open conversation: its messages, kept scrolled to the end while an answer grows, unless the reader has gone up.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { answerAgain, answeringHere, answerProblem, running, runningText } from '../state/answer.js';
import { current } from '../state/conversations.js';
import { Button, IconButton } from './controls.js';
import { Answer, Question, RunningAnswer } from './message.js';
import { ProblemNote } from './problem.js';

const near = 80;

export function Thread() {
  const conversation = current.value;
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [showJump, setShowJump] = useState(false);
  const messages = conversation?.messages ?? [];

  const toEnd = (): void => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };

  useLayoutEffect(() => {
    atEnd.current = true;
    toEnd();
  }, [conversation?.id, messages.length]);

  useEffect(() => {
    // The text is rendered before the next frame; then the end is where it will stay.
    let frame = 0;
    const follow = (): void => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => {
        if (atEnd.current) toEnd();
      });
    };
    const stopText = runningText.subscribe(follow);
    const stopRunning = running.subscribe(follow);
    addEventListener('resize', follow);
    return () => {
      cancelAnimationFrame(frame);
      stopText();
      stopRunning();
      removeEventListener('resize', follow);
    };
  }, []);

  if (!conversation) return null;
  const here = answeringHere.value;
  const shown = here ? messages.filter((message) => message.id !== running.value?.messageId) : messages;
  const problem = answerProblem.value?.conversationId === conversation.id ? answerProblem.value : undefined;
  const unanswered = !here && shown[shown.length - 1]?.role === 'user';
  const retry = (): void => answerAgain(conversation.id);

  return (
    <div class="thread-holder">
      <div
        class="thread"
        ref={scroller}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < near;
          setShowJump(!atEnd.current);
        }}
      >
        <div class="column" role="log" aria-live="off" aria-label="Conversation">
          {shown.map((message) =>
            message.role === 'user' ? (
              <Question key={message.id} message={message} conversationId={conversation.id} />
            ) : (
              <Answer key={message.id} message={message} conversationId={conversation.id} />
            ),
          )}
          {here && <RunningAnswer />}
          {problem && <ProblemNote problem={problem} onRetry={unanswered ? retry : undefined} />}
          {unanswered && !problem && (
            <div class="row">
              <Button icon="again" disabled={running.value !== undefined} onClick={retry}>
                Answer this question
              </Button>
            </div>
          )}
        </div>
      </div>
      {showJump && (
        <IconButton
          class="jump"
          icon="down"
          label="To the newest"
          onClick={() => {
            atEnd.current = true;
            toEnd();
          }}
        />
      )}
    </div>
  );
}
