// Starts the page: what is kept is read, the model of the last visit is opened, and the service worker takes its place.
import '@fontsource-variable/figtree/wght.css';
import './style/base.css';
import './style/layout.css';
import './style/controls.css';
import './style/chat.css';
import './style/panels.css';
import { Linnet } from 'linnet';
import { render } from 'preact';
import { App } from './app.js';
import { startConversations } from './state/conversations.js';
import { startLibrary } from './state/library.js';
import { modelState, startModel } from './state/model.js';
import { startSite } from './state/site.js';

render(<App />, document.getElementById('app')!);
void startConversations();
void startLibrary().then(startModel);
void startSite();

// For the browser's console: `await linnet.model.logitsHash([1, 15043])` is what `linnet logits --hash` prints.
Object.assign(globalThis, {
  linnet: {
    Linnet,
    get model() {
      const state = modelState.value;
      return state.kind === 'ready' ? state.model : undefined;
    },
  },
});
