// The conversations: a new one, those that there are, and bringing them in and out.
import { useRef, useState } from 'preact/hooks';
import { download, fromFile, toJson, toMarkdown } from '../lib/transfer.js';
import { add, answeringIn, conversations, currentId, open, remove, rename } from '../state/conversations.js';
import { notify } from '../state/notices.js';
import { panel, show } from '../state/screen.js';
import type { Conversation } from '../state/types.js';
import { Button, FileField } from './controls.js';
import { Icon } from './icon.js';
import { Menu } from './menu.js';

function openHere(id: string): void {
  open(id);
  if (panel.value === 'conversations') show('');
}

function RenameField({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const finished = useRef(false);
  const finish = (title: string | undefined): void => {
    if (finished.current) return;
    finished.current = true;
    if (title !== undefined) void rename(conversation.id, title);
    onDone();
  };
  return (
    <input
      class="rename"
      aria-label="Name of the conversation"
      defaultValue={conversation.title}
      maxLength={200}
      ref={(element) => {
        if (element && document.activeElement !== element) {
          element.focus();
          element.select();
        }
      }}
      onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') finish(event.currentTarget.value);
        if (event.key === 'Escape') {
          event.preventDefault();
          event.stopPropagation();
          finish(undefined);
        }
      }}
    />
  );
}

function Line({ conversation }: { conversation: Conversation }) {
  const [renaming, setRenaming] = useState(false);
  const { id, title } = conversation;
  const isCurrent = id === currentId.value;
  return (
    <li class={isCurrent ? 'conversation current' : 'conversation'}>
      {renaming ? (
        <RenameField conversation={conversation} onDone={() => setRenaming(false)} />
      ) : (
        <>
          <a
            href={`#${id}`}
            aria-current={isCurrent ? 'page' : undefined}
            onClick={(event) => {
              event.preventDefault();
              openHere(id);
            }}
          >
            {answeringIn.value === id && <span class="pulse" role="img" aria-label="Being answered" />}
            <span class="title">{title}</span>
          </a>
          <Menu
            label={`More for “${title}”`}
            items={[
              { label: 'Rename', icon: 'edit', run: () => setRenaming(true) },
              {
                label: 'Export as Markdown',
                icon: 'download',
                run: () => download(`${title}.md`, 'text/markdown', toMarkdown(conversation)),
              },
              {
                label: 'Export as JSON',
                icon: 'download',
                run: () => download(`${title}.json`, 'application/json', toJson([conversation])),
              },
              { label: 'Delete', icon: 'trash', danger: true, run: () => remove(id) },
            ]}
          />
        </>
      )}
    </li>
  );
}

export function Conversations() {
  const chooser = useRef<HTMLInputElement>(null);
  const all = conversations.value;
  const importFile = async (file: File): Promise<void> => {
    try {
      const read = await fromFile(file);
      await add(read);
      notify({
        text: read.length === 1 ? 'One conversation is here again.' : `${read.length} conversations are here again.`,
      });
    } catch (error) {
      notify({ tone: 'problem', text: error instanceof Error ? error.message : String(error) });
    }
  };
  return (
    <div class="conversations">
      <Button icon="plus" onClick={() => openHere('')}>
        New chat
      </Button>
      <nav aria-label="Conversations">
        {all.length === 0 ? (
          <p class="hint">Conversations are kept here, in this browser only.</p>
        ) : (
          <ul>
            {all.map((conversation) => (
              <Line key={conversation.id} conversation={conversation} />
            ))}
          </ul>
        )}
      </nav>
      <div class="conversations-foot">
        <button type="button" class="foot-button" onClick={() => show('models')}>
          <Icon name="model" /> Models
        </button>
        <button type="button" class="foot-button" onClick={() => show('settings')}>
          <Icon name="settings" /> Settings
        </button>
        <FileField
          chooser={chooser}
          accept="application/json,.json"
          label="File of conversations"
          onFile={(file) => void importFile(file)}
        />
        <Menu
          label="Export and import"
          items={[
            {
              label: 'Export all',
              icon: 'download',
              run: () => download('linnet-conversations.json', 'application/json', toJson(conversations.value)),
            },
            { label: 'Import', icon: 'file', run: () => chooser.current?.click() },
          ]}
        />
      </div>
    </div>
  );
}
