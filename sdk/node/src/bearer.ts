/**
 * The token of an Authorization header (RFC 6750 section 2.1), given every value of it: undefined when the header is
 * missing, is there twice, or says something else.
 */
export function bearerToken(authorization: readonly string[]): string | undefined {
  const [value] = authorization;
  if (value === undefined || authorization.length !== 1) {
    return undefined;
  }
  return /^bearer +([^ ]+) *$/i.exec(value)?.[1];
}
