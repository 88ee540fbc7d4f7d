// Unsent text, one for each conversation, in localStorage: it is written at once, so that a reload loses nothing.
const key = (conversationId: string): string => `linnet-draft-${conversationId || 'new'}`;

export function readDraft(conversationId: string): string {
  try {
    return localStorage.getItem(key(conversationId)) ?? '';
  } catch {
    return '';
  }
}

export function writeDraft(conversationId: string, text: string): void {
  try {
    if (text) localStorage.setItem(key(conversationId), text);
    else localStorage.removeItem(key(conversationId));
  } catch {
    // A browser without storage: the text stays in the field.
  }
}
