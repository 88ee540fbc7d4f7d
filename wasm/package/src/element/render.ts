// A model's text as nodes: paragraphs as they are, and what stands between ``` as <pre>. Text becomes text nodes and nothing
// else, so that nothing in it can act.

interface Block {
  code: boolean;
  text: string;
}

/** A fence that is not closed yet goes on to the end. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let fence = '';
  const close = (code: boolean): void => {
    const joined = code ? lines.join('\n') : lines.join('\n').replace(/^\n+|\s+$/g, '');
    if (joined !== '' || code) blocks.push({ code, text: joined });
    lines = [];
  };
  for (const line of text.split('\n')) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence === '' && mark !== undefined) {
      close(false);
      fence = mark;
    } else if (fence !== '' && mark?.startsWith(fence) === true && line.trim() === mark) {
      close(true);
      fence = '';
    } else {
      lines.push(line);
    }
  }
  close(fence !== '');
  return blocks;
}

export function render(into: Element, text: string): void {
  const blocks = blocksOf(text);
  blocks.forEach((block, i) => {
    const name = block.code ? 'PRE' : 'P';
    let element = into.children[i];
    if (element?.tagName !== name) {
      const made = document.createElement(name);
      if (block.code) {
        made.tabIndex = 0; // it scrolls sideways, by keyboard too
        made.append(document.createElement('code'));
      }
      if (element === undefined) into.append(made);
      else element.replaceWith(made);
      element = made;
    }
    const holder = block.code ? (element.firstElementChild as Element) : element;
    if (holder.textContent !== block.text) holder.textContent = block.text;
  });
  while (into.children.length > blocks.length) into.lastElementChild?.remove();
}
