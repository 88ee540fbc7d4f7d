// Where a question is written: Enter sends, Shift+Enter begins a line, Escape stops the answer.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { answeringHere, ask, canAsk, running, stop } from '../state/answer.js';
import { conversationsRead, currentId } from '../state/conversations.js';
import { readDraft, writeDraft } from '../state/drafts.js';
import { modelState } from '../state/model.js';
import { IconButton } from './controls.js';
import { Icon } from './icon.js';

function placeholder(): string {
  if (running.value && !answeringHere.value) return 'Another conversation is being answered';
  if (canAsk.value || running.value) return 'Ask something';
  return modelState.value.kind === 'failed' ? 'The model could not be opened' : 'Ask something, once a model is here';
}

export function Composer() {
  const id = currentId.value;
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState('');

  useEffect(() => {
    setText(readDraft(id));
    if (matchMedia('(pointer: fine)').matches && !document.querySelector('dialog[open]')) field.current?.focus();
  }, [id, conversationsRead.value]);

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);

  const change = (value: string): void => {
    setText(value);
    writeDraft(id, value);
  };
  const send = (): void => {
    if (!ask(text)) return;
    writeDraft(id, '');
    setText('');
  };

  return (
    <form
      class="composer"
      aria-label="Message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        id="composer"
        aria-label="Your message"
        rows={1}
        placeholder={placeholder()}
        value={text}
        enterkeyhint="send"
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      {running.value ? (
        <IconButton class="send stop" icon="stop" label="Stop" onClick={stop} />
      ) : (
        <button type="submit" class="icon-button send" aria-label="Send" title="Send" disabled={!text.trim() || !canAsk.value}>
          <Icon name="send" />
        </button>
      )}
    </form>
  );
}
