/** Numbers of decisions as text. */

export const toBase64 = (bytes: Uint8Array | Int8Array | Float32Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

export const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

export const floatsFromBase64 = (text: string): Float32Array =>
  new Float32Array(fromBase64(text).buffer);
