/** SHA-256 in hex digits; of the digest's first `bytes` bytes. */
export async function sha256(data: Uint8Array<ArrayBuffer>, bytes = 32): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return Array.from(digest.subarray(0, bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
