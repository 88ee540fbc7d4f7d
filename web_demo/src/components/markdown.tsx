// An answer's Markdown. Blocks that stand are not touched again; code shows with its language and a copy button.
import { memo } from 'preact/compat';
import { useRef } from 'preact/hooks';
import { GrowingMarkdown, type Block } from '../lib/markdown.js';
import { CopyButton } from './controls.js';

const HtmlBlock = memo(function HtmlBlock({ html }: { html: string }) {
  return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
});

const CodeBlock = memo(function CodeBlock({ language, code }: { language: string; code: string }) {
  return (
    <figure class="code">
      <figcaption>
        <span>{language || 'text'}</span>
        <CopyButton text={() => code} label="Copy code" />
      </figcaption>
      <pre tabIndex={0} aria-label={`Code, ${language || 'text'}`}>
        <code>{code}</code>
      </pre>
    </figure>
  );
});

function show(block: Block, index: number) {
  return block.kind === 'code' ? (
    <CodeBlock key={index} language={block.language} code={block.code} />
  ) : (
    <HtmlBlock key={index} html={block.html} />
  );
}

export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const reader = useRef<GrowingMarkdown | null>(null);
  reader.current ??= new GrowingMarkdown();
  return <div class="markdown">{reader.current.blocks(text, growing).map(show)}</div>;
}
