// The messages at the foot, and the sentence that only a screen reader says.
import { announcement, dismiss, notices } from '../state/notices.js';
import { Button, IconButton } from './controls.js';

export function Notices() {
  return (
    <div class="notices" role="region" aria-label="Messages">
      {notices.value.map(({ id, text, tone, action, run }) => (
        <div class={`notice ${tone ?? 'plain'}`} role={tone === 'problem' ? 'alert' : 'status'} key={id}>
          <span>{text}</span>
          {action && (
            <Button
              kind="quiet"
              onClick={() => {
                dismiss(id);
                run?.();
              }}
            >
              {action}
            </Button>
          )}
          <IconButton icon="close" label="Close this message" onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}

export function Announcement() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {announcement.value}
    </div>
  );
}
