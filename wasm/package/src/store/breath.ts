// A pause in work that does not wait for anything, so that messages come in: a cancel among them.
export async function breath(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(0);
  });
  signal.throwIfAborted();
}
