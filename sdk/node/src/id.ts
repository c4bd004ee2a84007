import { Buffer } from "node:buffer";
import { decodePart } from "./jws.js";

/** How many bytes name a user or a session. */
export const ID_BYTES = 16;

/** A user's or a session's id: 16 bytes, as four numbers of 32 bits. */
export interface Id {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** Reads 16 bytes. */
export function idOfBytes(bytes: Uint8Array): Id {
  return { a: word(bytes, 0), b: word(bytes, 4), c: word(bytes, 8), d: word(bytes, 12) };
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

function bytesOf(id: Id): Buffer {
  const bytes = Buffer.allocUnsafe(ID_BYTES);
  bytes.writeInt32BE(id.a, 0);
  bytes.writeInt32BE(id.b, 4);
  bytes.writeInt32BE(id.c, 8);
  bytes.writeInt32BE(id.d, 12);
  return bytes;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Reads a UUID in its canonical form alone, so that one user has one spelling. */
export function parseUserId(text: string): Id | undefined {
  return UUID.test(text) ? idOfBytes(Buffer.from(text.replaceAll("-", ""), "hex")) : undefined;
}

/** Writes a user's id as the claim `sub` does. */
export function formatUserId(id: Id): string {
  const digits = bytesOf(id).toString("hex");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    "-",
  );
}

/** Reads 22 characters of base64url. */
export function parseSessionId(text: string): Id | undefined {
  const bytes = decodePart(text);
  return bytes?.length === ID_BYTES ? idOfBytes(bytes) : undefined;
}

/** Writes a session's id as the claim `sid` does. */
export function formatSessionId(id: Id): string {
  return bytesOf(id).toString("base64url");
}
