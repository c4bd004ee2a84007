import assert from "node:assert/strict";
import { request } from "node:http";

/** What a server answers. */
export interface HttpAnswer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Asks for a path, with each of these Authorization headers. */
export function get(port: number, path: string, ...authorization: string[]): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const headers = ["host", "127.0.0.1", ...authorization.flatMap((value) => ["authorization", value])];
    const call = request({ port, host: "127.0.0.1", path, headers: headers as never, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    });
    call.on("error", reject).end();
  });
}

/**
 * Holds a server whose path `/` greets by name and audiences, and whose `/root` and `/admin` ask for a role, to what
 * all must do.
 */
export async function holdToTheRules(port: number): Promise<void> {
  const cases: [string[], number, string | undefined, string | undefined][] = [
    [["Bearer good"], 200, undefined, undefined],
    [["bearer  good "], 200, undefined, undefined],
    [[], 401, "TOKEN_MISSING", "Bearer"],
    [["Basic good"], 401, "TOKEN_MISSING", "Bearer"],
    [["Bearer good", "Bearer good"], 401, "TOKEN_MISSING", "Bearer"],
    [["Bearer expired"], 401, "ACCESS_TOKEN_EXPIRED", 'Bearer error="invalid_token"'],
    [["Bearer other"], 503, "REVOCATIONS_STALE", undefined],
  ];
  for (const [authorization, status, reason, challenge] of cases) {
    const what = authorization.join(", ");
    const answer = await get(port, "/", ...authorization);
    assert.equal(answer.status, status, what);
    assert.equal(answer.headers["www-authenticate"], challenge, what);
    assert.equal(answer.headers["retry-after"], status === 503 ? "1" : undefined, what);
    if (reason === undefined) {
      assert.equal(answer.body, "ada orders", what);
    } else {
      holdProblem(answer, status, reason);
    }
  }
  holdProblem(await get(port, "/root", "Bearer good"), 403, "ROLE_REQUIRED");
  assert.equal((await get(port, "/admin", "Bearer good")).status, 200);
  holdProblem(await get(port, "/admin"), 401, "TOKEN_MISSING");
  assert.equal((await get(port, "/", "Bearer broken")).status, 500);
}

function holdProblem(answer: HttpAnswer, status: number, reason: string): void {
  assert.equal(answer.status, status, answer.body);
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  assert.equal(answer.headers["cache-control"], "no-store");
  const problem = JSON.parse(answer.body) as Record<string, unknown>;
  assert.deepEqual([problem["status"], problem["reason"]], [status, reason]);
}
