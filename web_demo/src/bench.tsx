// Starts the speed page.
import '@fontsource-variable/figtree/wght.css';
import './style/base.css';
import './style/layout.css';
import './style/controls.css';
import './style/panels.css';
import './style/bench.css';
import { render } from 'preact';
import { BenchPage } from './components/bench_page.js';
import { startLibrary } from './state/library.js';
import { startSite } from './state/site.js';
import './state/settings.js'; // the look

render(<BenchPage />, document.getElementById('app')!);
void startLibrary();
void startSite();
