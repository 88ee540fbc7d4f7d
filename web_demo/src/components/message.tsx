// One message: a question with edit, an answer with copy, again, and what it took.
import { useEffect, useRef, useState } from 'preact/hooks';
import * as format from '../lib/format.js';
import { canAsk, edit, regenerate, running, runningText } from '../state/answer.js';
import { settings } from '../state/settings.js';
import type { ChatMessage } from '../state/types.js';
import { Button, CopyButton, IconButton } from './controls.js';
import { Markdown } from './markdown.js';

function EditQuestion({ text, onDone }: { text: string; onDone: (text: string | undefined) => void }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [value, setValue] = useState(text);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, []);
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        onDone(value);
      }}
    >
      <textarea
        ref={field}
        aria-label="Edit your question"
        value={value}
        rows={Math.min(12, value.split('\n').length + 1)}
        onInput={(event) => setValue(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            onDone(undefined);
          } else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            onDone(value);
          }
        }}
      />
      <div class="row end">
        <Button kind="quiet" onClick={() => onDone(undefined)}>
          Cancel
        </Button>
        <Button kind="primary" type="submit" disabled={!value.trim() || !canAsk.value}>
          Ask again
        </Button>
      </div>
    </form>
  );
}

export function Question({ message, conversationId }: { message: ChatMessage; conversationId: string }) {
  const [editing, setEditing] = useState(false);
  return (
    <article class="message question" aria-label="You">
      {editing ? (
        <EditQuestion
          text={message.content}
          onDone={(text) => {
            setEditing(false);
            if (text !== undefined && text.trim()) edit(conversationId, message.id, text);
          }}
        />
      ) : (
        <>
          <div class="bubble">{message.content}</div>
          <div class="actions">
            <CopyButton text={() => message.content} label="Copy question" />
            <IconButton icon="edit" label="Edit question" disabled={!canAsk.value} onClick={() => setEditing(true)} />
          </div>
        </>
      )}
    </article>
  );
}

/** What a person should know of how an answer ended. */
function endOf({ finish, usage }: ChatMessage): string {
  const parts: string[] = [];
  if (finish === 'length')
    parts.push(`Cut at ${format.count(usage?.completionTokens ?? settings.value.maxTokens, 'token')}, as set.`);
  if (finish === 'context') parts.push('The context is full: start a new chat, or give it more context in the settings.');
  if (finish === 'cancelled') parts.push('Stopped.');
  if (usage && usage.forgottenMessages > 0) {
    parts.push(`The oldest ${format.count(usage.forgottenMessages, 'message')} no longer fit the context and were left out.`);
  }
  return parts.join(' ');
}

function figuresOf({ model, usage, timings }: ChatMessage): string {
  const parts = model ? [model] : [];
  if (usage) parts.push(format.count(usage.completionTokens, 'token'));
  if (timings && timings.decodeTokensPerSecond > 0) parts.push(format.speed(timings.decodeTokensPerSecond));
  if (timings) parts.push(`first word after ${format.duration(timings.firstTokenMilliseconds / 1000)}`);
  return parts.join(' · ');
}

export function Answer({ message, conversationId }: { message: ChatMessage; conversationId: string }) {
  const end = endOf(message);
  return (
    <article class="message answer" aria-label="Answer">
      <Markdown text={message.content} growing={false} />
      {end && <p class="end">{end}</p>}
      <div class="actions">
        <CopyButton text={() => message.content} label="Copy answer" />
        <IconButton
          icon="again"
          label="Answer again"
          disabled={!canAsk.value}
          onClick={() => regenerate(conversationId, message.id)}
        />
        <span class="figures">{figuresOf(message)}</span>
      </div>
    </article>
  );
}

/** The answer that is being written. */
export function RunningAnswer() {
  const state = running.value;
  const text = runningText.value;
  if (!state) return null;
  const waiting =
    state.phase === 'load'
      ? 'Opening the model'
      : state.toRead > 0
        ? `Reading, ${format.percent(state.read, state.toRead)} %`
        : 'Reading';
  return (
    <article class="message answer running" aria-label="Answer" aria-busy="true">
      {text ? (
        <Markdown text={text} growing={true} />
      ) : (
        <p class="waiting">
          <span class="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {waiting}
        </p>
      )}
    </article>
  );
}
