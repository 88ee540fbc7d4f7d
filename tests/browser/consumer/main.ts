// What a reader of the README would write, with every type looked at.
import { createOpenAI, Linnet, LinnetError, type Model, type Reply, type Session } from 'linnet';
import type { LinnetChatElement } from 'linnet/linnet-chat';
import 'linnet/linnet-chat';

async function chat(): Promise<{ text: string; hash: string; threads: number }> {
  const model: Model = await Linnet.load('models/chat.linnet', {
    context: 512,
    memory: '1GB',
    onProgress: ({ phase, loaded, total }) => console.debug(phase, loaded, total),
  });
  const session: Session = await model.session({ sampling: { temperature: 0 } });
  let text = '';
  for await (const piece of session.stream('Hello', { maxTokens: 12 })) text += piece;
  const reply: Reply = await session.prompt('And?', { maxTokens: 4 });
  if (reply.finish === 'cancelled') throw new LinnetError('worker', 'Nobody has cancelled it.');
  const stream = await createOpenAI(model).chat.completions.create({
    messages: [{ role: 'user', content: 'Hi' }],
    max_tokens: 3,
    stream: true,
  });
  for await (const chunk of stream) console.debug(chunk.choices[0]?.delta.content ?? '');
  const hash = await model.logitsHash([1, 2, 3]);
  await model.unload();
  return { text, hash, threads: model.info.threads };
}

const element: LinnetChatElement | null = document.querySelector('linnet-chat');
element?.addEventListener('linnet-error', (event) => console.error((event as CustomEvent).detail));

declare global {
  var chat: () => Promise<{ text: string; hash: string; threads: number }>;
}
globalThis.chat = chat;
