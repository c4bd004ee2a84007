/** Calls what belongs to the application. `failed` is given what it throws, or what its promise is rejected with. */
export function callSafely(call: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = call();
    if (typeof result === "object" && result !== null && "then" in result) {
      Promise.resolve(result).catch(failed);
    }
  } catch (error) {
    failed(error);
  }
}
