// Markdown that grows: a text is cut into blocks, and only the last block is read again when more text comes.
import DOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';

export type Block =
  { kind: 'html'; raw: string; html: string } | { kind: 'code'; raw: string; language: string; code: string; closed: boolean };

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // HTML in an answer is shown as it was written. Pictures would ask other servers: their text stands in their place.
    html: ({ text }) => escape(text),
    image: ({ text, href }) => escape(text || href),
  },
});

const tags = 'p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del a table thead tbody tr th td input'.split(
  ' ',
);
const attributes = ['href', 'title', 'align', 'start', 'type', 'checked', 'disabled'];

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
  // The only field that Markdown makes is the box of a task.
  if (node.tagName === 'INPUT') {
    if (node.getAttribute('type') !== 'checkbox') node.remove();
    node.setAttribute('disabled', '');
    node.setAttribute('aria-label', node.hasAttribute('checked') ? 'done' : 'not done');
  }
});

const sanitize = (html: string): string =>
  DOMPurify.sanitize(html, {
    ALLOWED_TAGS: tags,
    ALLOWED_ATTR: attributes,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  });

function blockOf(token: Token, growing: boolean): Block {
  if (token.type === 'code') {
    const { text, lang, raw } = token as Tokens.Code;
    const closed = !growing || !/^ {0,3}(```|~~~)/.test(raw) || /\n {0,3}(```+|~~~+)\s*$/.test(raw);
    return { kind: 'code', raw, language: (lang ?? '').split(/\s/)[0] ?? '', code: text, closed };
  }
  const tokens = growing ? marked.lexer(closeMarks(token.raw)) : [token];
  return { kind: 'html', raw: token.raw, html: sanitize(marked.parser(tokens)) };
}

/** Closes what is open at the end of a text that still grows, so that `**half` is bold at once and does not jump. */
export function closeMarks(text: string): string {
  const line = text.slice(text.lastIndexOf('\n') + 1);
  const outsideCode = line.replace(/`[^`]*`/g, '');
  if (outsideCode.includes('`')) return `${text.replace(/`$/, '')}\``;
  if ((outsideCode.match(/\*\*/g)?.length ?? 0) % 2 === 1) {
    const without = text.replace(/\*\*$/, '');
    return without === text ? `${text.replace(/\s*\*?$/, '')}**` : without;
  }
  return text;
}

/** Blocks of a text that is given again and again, longer each time. Blocks that stand are the same objects. */
export class GrowingMarkdown {
  private standing: Block[] = [];
  private source = '';
  private standingLength = 0;

  blocks(given: string, growing: boolean): Block[] {
    const text = given.replace(/\r\n?/g, '\n'); // as the reader counts
    if (!text.startsWith(this.source.slice(0, this.standingLength))) {
      this.standing = [];
      this.standingLength = 0;
    }
    this.source = text;
    const tokens = marked.lexer(text.slice(this.standingLength));
    // A block stands when another one has begun after it.
    const last = tokens.findLastIndex((token) => token.type !== 'space');
    const open = growing ? last : tokens.length;
    tokens.slice(0, Math.max(0, open)).forEach((token) => {
      this.standingLength += token.raw.length;
      if (token.type !== 'space' && token.type !== 'def') this.standing.push(blockOf(token, false));
    });
    const rest = growing && last >= 0 ? tokens[last] : undefined;
    return rest && rest.type !== 'def' ? [...this.standing, blockOf(rest, true)] : [...this.standing];
  }
}
