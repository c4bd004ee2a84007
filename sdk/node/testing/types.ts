/** What must not compile. It is compiled with the tests, and never run. */
import type { Client, Verification } from "../src/index.js";

export function mustNotCompile(answer: Verification, client: Client): void {
  // @ts-expect-error: only the outcome `verified` has a token.
  void answer.token;
  if (answer.outcome === "verified") {
    // @ts-expect-error: a token is shared between requests.
    answer.token.roles.push("admin");
    // @ts-expect-error: an epoch has 64 bits.
    void (answer.token.epoch + 1);
  }
  // @ts-expect-error: streams have no stub.
  void client.auth.verifyStream;
  // @ts-expect-error: the request has no such field.
  void client.users.getUser({ id: "x" });
}
