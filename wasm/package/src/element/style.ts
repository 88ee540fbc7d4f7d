// How the chat looks: a constructable style sheet, which a strict policy allows. Colours can be set from outside by the custom
// properties --linnet-accent, --linnet-background, --linnet-text and so on.
const CSS = `
:host {
  --background: var(--linnet-background, #ffffff);
  --text: var(--linnet-text, #1b1f24);
  --soft: var(--linnet-soft, #f0f2f5);
  --quiet: var(--linnet-quiet, #57606a);
  --line: var(--linnet-line, #d0d7de);
  --accent: var(--linnet-accent, #0b5cad);
  --on-accent: var(--linnet-on-accent, #ffffff);
  --alarm: var(--linnet-alarm, #a40e26);
  color-scheme: light;
  display: flex;
  box-sizing: border-box;
  min-width: 0;
  height: 32rem;
  max-height: 100vh;
  border: 1px solid var(--line);
  border-radius: 0.75rem;
  overflow: hidden;
  background: var(--background);
  color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif;
}
:host([hidden]) { display: none; }
:host([theme='dark']) {
  --background: var(--linnet-background, #14181d);
  --text: var(--linnet-text, #e6eaf0);
  --soft: var(--linnet-soft, #222830);
  --quiet: var(--linnet-quiet, #a3adb8);
  --line: var(--linnet-line, #3b444e);
  --accent: var(--linnet-accent, #79b8ff);
  --on-accent: var(--linnet-on-accent, #08131f);
  --alarm: var(--linnet-alarm, #ff9aa5);
  color-scheme: dark;
}
@media (prefers-color-scheme: dark) {
  :host(:not([theme='light'])) {
    --background: var(--linnet-background, #14181d);
    --text: var(--linnet-text, #e6eaf0);
    --soft: var(--linnet-soft, #222830);
    --quiet: var(--linnet-quiet, #a3adb8);
    --line: var(--linnet-line, #3b444e);
    --accent: var(--linnet-accent, #79b8ff);
    --on-accent: var(--linnet-on-accent, #08131f);
    --alarm: var(--linnet-alarm, #ff9aa5);
    color-scheme: dark;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
section { display: flex; flex-direction: column; flex: 1; min-width: 0; min-height: 0; }
.log { flex: 1; min-height: 0; overflow-y: auto; padding: 1rem; }
.log:focus-visible, pre:focus-visible, button:focus-visible, textarea:focus-visible, input:focus-visible {
  outline: 2px solid var(--accent);
  outline-offset: -2px;
}
.message { max-width: 46rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
.message.user { margin-left: auto; width: fit-content; max-width: 85%; padding: 0.5rem 0.875rem; border-radius: 0.875rem; background: var(--soft); }
.message p { margin: 0 0 0.5rem; white-space: pre-wrap; }
.message p:last-child { margin-bottom: 0; }
.message pre { margin: 0 0 0.5rem; padding: 0.75rem; overflow-x: auto; border-radius: 0.5rem; background: var(--soft); font: 0.875rem/1.45 ui-monospace, monospace; }
.note { margin: 0.25rem 0 0; color: var(--quiet); font-size: 0.8125rem; }
.waiting::after { content: '…'; color: var(--quiet); }
.start, .loading { margin: auto; padding: 1.5rem; max-width: 30rem; text-align: center; overflow-y: auto; }
.start p, .loading p { margin: 0 0 1rem; }
.problem { margin: 0; padding: 0.625rem 1rem; color: var(--alarm); border-top: 1px solid var(--line); overflow-wrap: anywhere; }
progress { width: 100%; height: 0.75rem; accent-color: var(--accent); }
form { display: flex; gap: 0.5rem; align-items: flex-end; padding: 0.75rem; border-top: 1px solid var(--line); }
textarea {
  flex: 1; min-width: 0; min-height: 2.75rem; max-height: 10rem; padding: 0.5625rem 0.75rem; resize: none; field-sizing: content;
  border: 1px solid var(--quiet); border-radius: 0.5rem; background: var(--background); color: inherit; font: inherit;
}
textarea::placeholder { color: var(--quiet); opacity: 1; }
button {
  min-height: 2.75rem; padding: 0 1rem; border: 1px solid transparent; border-radius: 0.5rem; cursor: pointer;
  background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600;
}
button.second { background: transparent; color: var(--text); border-color: var(--quiet); font-weight: 400; }
button:disabled { opacity: 0.55; cursor: default; }
footer { display: flex; gap: 0.5rem; align-items: center; justify-content: space-between; padding: 0 0.75rem 0.5rem; color: var(--quiet); font-size: 0.8125rem; }
footer button { min-height: 2rem; padding: 0 0.5rem; border: 0; background: none; color: inherit; font-weight: 400; text-decoration: underline; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: no-preference) { .waiting::after { animation: breathe 1.2s ease-in-out infinite; } }
@keyframes breathe { 50% { opacity: 0.25; } }
@media (forced-colors: active) { button { border-color: ButtonText; } }
`;

let made: CSSStyleSheet | undefined;

/** One for all chats of a page. */
export function styleSheet(): CSSStyleSheet {
  if (made === undefined) {
    made = new CSSStyleSheet();
    made.replaceSync(CSS);
  }
  return made;
}
