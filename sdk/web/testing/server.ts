/** One call that the server got. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly body: string;
  readonly credentials: string;
  readonly csrfToken: string | null;
}

type Answer = Response | Promise<Response>;
type Script = (call: Call, signal: AbortSignal) => Answer;

/** An edge and an API in one, as far as the client can see them. */
export class FakeServer {
  readonly calls: Call[] = [];
  /** The user of the session that the browser's cookie stands for; null without one. */
  session: { readonly id: string; readonly subject: string } | null = null;
  /** Other sessions of the same user. */
  readonly others: { readonly id: string; readonly subject: string }[] = [];
  lifetime = 300;
  /** The double-submit token that it asks for; null for none. */
  csrfToken: string | null = null;
  #minted = 0;
  #time = 1_700_000_000;
  #good = new Set<string>();
  readonly #scripts: { readonly path: string; readonly run: Script }[] = [];

  /** The next call of this path is answered like this, once. */
  once(path: string, run: Script): void {
    this.#scripts.push({ path, run });
  }

  count(path: string): number {
    return this.calls.filter((call) => call.path === path).length;
  }

  /** From now on no access token made so far is accepted. */
  expireTokens(): void {
    this.#good.clear();
  }

  /** Ends the session from elsewhere. */
  revoke(cause?: string): void {
    this.expireTokens();
    this.session = null;
    this.once("/v1/auth/refresh", () => problem(401, "SESSION_REVOKED", {}, cause));
  }

  readonly fetch = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(request.signal.reason);
      if (request.signal.aborted) return abort();
      request.signal.addEventListener("abort", abort);
      this.#answer(request).then(resolve, reject);
    });
  };

  async #answer(request: Request): Promise<Response> {
    const call: Call = {
      method: request.method,
      path: new URL(request.url).pathname,
      authorization: request.headers.get("authorization"),
      body: await request.text(),
      credentials: request.credentials,
      csrfToken: request.headers.get("x-csrf-token"),
    };
    this.calls.push(call);
    const index = this.#scripts.findIndex((script) => script.path === call.path);
    const script = index < 0 ? undefined : this.#scripts.splice(index, 1)[0];
    return script ? script.run(call, request.signal) : this.usual(call);
  }

  /** What it answers when nothing else was asked for. */
  usual(call: Call): Response {
    switch (call.path) {
      case "/v1/auth/login":
        return this.#login(call.body);
      case "/v1/auth/csrf":
        return json({ csrfToken: this.csrfToken });
      case "/v1/auth/refresh":
        if (call.csrfToken !== this.csrfToken) return problem(403, "CSRF_TOKEN_MISMATCH");
        return this.session ? json({ tokens: this.#mint() }) : problem(401, "TOKEN_MISSING");
      case "/v1/auth/password":
        return this.#changePassword(call);
      case "/v1/auth/sessions":
        if (this.session === null) return problem(401, "TOKEN_MISSING");
        return json({ currentSessionId: this.session.id, sessions: [this.session, ...this.others].map(ownSession) });
      case "/v1/auth/sessions/others": {
        if (call.csrfToken !== this.csrfToken) return problem(403, "CSRF_TOKEN_MISMATCH");
        const revoked = this.others.splice(0).length;
        return json(revoked === 0 ? {} : { revoked });
      }
      case "/v1/auth/logout":
        this.session = null;
        this.expireTokens();
        return json({});
      default:
        if (call.method === "DELETE") return this.#endSession(call);
        return this.#guarded(call);
    }
  }

  #changePassword(call: Call): Response {
    if (call.csrfToken !== this.csrfToken) return problem(403, "CSRF_TOKEN_MISMATCH");
    if (this.session === null) return problem(401, "TOKEN_MISSING");
    const { currentPassword, newPassword } = JSON.parse(call.body) as Record<string, string>;
    if (currentPassword !== "right") return problem(401, "INVALID_CREDENTIALS");
    if (newPassword === "weak") return problem(400, "PASSWORD_REJECTED");
    this.expireTokens();
    this.others.length = 0;
    this.session = { id: `session-${(this.#minted += 1)}`, subject: this.session.subject };
    return json({ tokens: this.#mint(), session: { id: this.session.id } });
  }

  #endSession(call: Call): Response {
    const id = call.path.split("/").pop();
    const index = this.others.findIndex((session) => session.id === id);
    if (index >= 0) this.others.splice(index, 1);
    if (id === this.session?.id) this.session = null;
    else if (index < 0) return json({});
    return json({ revoked: 1 });
  }

  #login(body: string): Response {
    const { username, password } = JSON.parse(body) as { username: string; password: string };
    if (password !== "right") return problem(401, "INVALID_CREDENTIALS");
    this.session = { id: `session-${(this.#minted += 1)}`, subject: username };
    const headers: Record<string, string> = this.csrfToken === null ? {} : { "x-csrf-token": this.csrfToken };
    const session = { id: this.session.id, subject: username, username };
    return json({ tokens: this.#mint(), session }, { headers });
  }

  #guarded(call: Call): Response {
    const token = call.authorization?.replace("Bearer ", "") ?? "";
    if (!this.#good.has(token)) return new Response("", { status: 401 });
    if (call.path !== "/v1/auth/session") return json({ path: call.path, body: call.body });
    const { id: sessionId, subject } = this.session ?? {};
    return json({ subject, username: subject, externalId: "42", sessionId });
  }

  #mint(): object {
    this.#time += 1;
    const claims = { sid: this.session?.id, sub: this.session?.subject, jti: (this.#minted += 1) };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const accessToken = `${part({ alg: "EdDSA" })}.${part(claims)}.c2ln`;
    this.#good.add(accessToken);
    const accessExpiresAt = new Date((this.#time + this.lifetime) * 1_000).toISOString();
    return { accessToken, tokenType: "Bearer", accessExpiresAt, expiresIn: this.lifetime };
  }
}

function ownSession(session: { readonly id: string }): object {
  return { id: session.id, client: { userAgent: "a browser", address: "192.0.2.7" }, createdAt: "2026-01-01T00:00:00Z" };
}

export function json(body: object, init?: ResponseInit): Response {
  return Response.json(body, init);
}

export function problem(
  status: number,
  reason: string,
  headers: Record<string, string> = {},
  cause?: string,
): Response {
  const body = { type: "about:blank", status, reason, code: status * 100 + 1, detail: `because of ${reason}`, cause };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json", ...headers } });
}
