const SECRET_FIELDS = new Set([
  "password",
  "currentPassword",
  "newPassword",
  "accessToken",
  "refreshToken",
  "token",
]);

/** Shortens a secret: it can be told from another one, and not be used. */
export function shorten(secret: string): string {
  return secret.length <= 24 ? "•".repeat(8) : `${secret.slice(0, 10)}…${secret.slice(-6)}`;
}

/** A body to show: indented, its secrets shortened. */
export function showBody(text: string): string {
  if (text === "") return "";
  try {
    const hide = (key: string, value: unknown): unknown =>
      SECRET_FIELDS.has(key) && typeof value === "string" ? shorten(value) : value;
    return JSON.stringify(JSON.parse(text), hide, 2);
  } catch {
    return text.slice(0, 500);
  }
}
