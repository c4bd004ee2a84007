// Made from sdk/web by `make web`.
function browserEnvironment() {
    return {
        fetch: (input, init) => globalThis.fetch(input, init),
        now: () => performance.now(),
        random: () => Math.random(),
        setTimeout: (run, milliseconds) => globalThis.setTimeout(run, milliseconds),
        clearTimeout: (timer) => globalThis.clearTimeout(timer),
        locks: globalThis.navigator?.locks,
        openChannel: openBroadcastChannel,
        hidden: () => globalThis.document?.visibilityState === "hidden",
        onWake: listenForWake,
        origin: globalThis.location?.origin,
    };
}
function openBroadcastChannel(name, receive) {
    if (typeof BroadcastChannel === "undefined")
        return undefined;
    const channel = new BroadcastChannel(name);
    channel.onmessage = (event) => receive(event.data);
    return { post: (message) => channel.postMessage(message), close: () => channel.close() };
}
function listenForWake(listener) {
    if (typeof document === "undefined")
        return () => undefined;
    const seen = () => {
        if (document.visibilityState === "visible")
            listener();
    };
    document.addEventListener("visibilitychange", seen);
    addEventListener("online", listener);
    addEventListener("pageshow", listener);
    return () => {
        document.removeEventListener("visibilitychange", seen);
        removeEventListener("online", listener);
        removeEventListener("pageshow", listener);
    };
}
function prepare(input, init, base) {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request?.url ?? String(input), base);
    const headers = new Headers(init?.headers ?? request?.headers);
    const copied = request !== undefined && request.body !== null && init?.body == null;
    let made = false;
    return {
        url,
        signal: init?.signal ?? request?.signal ?? null,
        authorized: headers.has("authorization"),
        canReplay: !isStream(init?.body),
        make(accessToken) {
            const source = copied && !made ? request.clone() : (request ?? url);
            made = true;
            const withToken = new Headers(headers);
            withToken.set("authorization", `Bearer ${accessToken}`);
            return new Request(source, { ...init, headers: withToken });
        },
    };
}
function isStream(body) {
    return typeof ReadableStream !== "undefined" && body instanceof ReadableStream;
}
const ENDING = new Set([
    "TOKEN_MISSING",
    "REFRESH_TOKEN_INVALID",
    "REFRESH_TOKEN_EXPIRED",
    "REFRESH_TOKEN_REUSED",
    "SESSION_REVOKED",
]);
function endsSession(reason) {
    return reason !== undefined && ENDING.has(reason);
}
const END_CAUSES = new Set([
    "LOGGED_OUT",
    "LOGGED_OUT_EVERYWHERE",
    "PASSWORD_CHANGED",
    "SIGNED_IN_ELSEWHERE",
    "REVOKED_BY_ADMINISTRATOR",
    "USER_DISABLED",
    "USER_DELETED",
    "TOKEN_REUSED",
]);
function endCauseOf(name) {
    return END_CAUSES.has(name) ? name : undefined;
}
class AuthError extends Error {
    name = "AuthError";
    reason;
    code;
    status;
    retryAfter;
    constructor(message, facts = {}) {
        super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
        this.reason = facts.reason;
        this.code = facts.code;
        this.status = facts.status;
        this.retryAfter = facts.retryAfter;
    }
}
class InvalidCredentialsError extends AuthError {
    name = "InvalidCredentialsError";
}
class InvalidRequestError extends AuthError {
    name = "InvalidRequestError";
    violations;
    constructor(message, facts = {}) {
        super(message, facts);
        this.violations = facts.violations ?? [];
    }
}
class PasswordRejectedError extends AuthError {
    name = "PasswordRejectedError";
    violations;
    constructor(message, facts = {}) {
        super(message, facts);
        this.violations = facts.violations ?? [];
    }
}
class RateLimitedError extends AuthError {
    name = "RateLimitedError";
}
class LoggedOutError extends AuthError {
    name = "LoggedOutError";
    logoutReason;
    endCause;
    constructor(reason, facts = {}) {
        super(reason === null ? "Nobody is logged in." : `The session has ended: ${reason}.`, facts);
        this.logoutReason = reason;
        this.endCause = facts.endCause;
    }
}
class UnavailableError extends AuthError {
    name = "UnavailableError";
}
class ProtocolError extends AuthError {
    name = "ProtocolError";
}
class ClosedError extends AuthError {
    name = "ClosedError";
    constructor() {
        super("The client was closed.");
    }
}
const LONGEST_TIMER = 2 ** 31 - 1;
class Timer {
    #environment;
    #handle;
    #set = false;
    constructor(environment) {
        this.#environment = environment;
    }
    start(milliseconds, run) {
        this.stop();
        this.#set = true;
        this.#handle = this.#environment.setTimeout(() => {
            this.#set = false;
            run();
        }, Math.min(Math.max(0, milliseconds), LONGEST_TIMER));
    }
    stop() {
        if (!this.#set)
            return;
        this.#set = false;
        this.#environment.clearTimeout(this.#handle);
    }
}
function sleep(environment, milliseconds, signal, wake) {
    return new Promise((resolve, reject) => {
        if (signal.aborted)
            return reject(signal.reason);
        if (wake?.aborted)
            return resolve();
        const timer = new Timer(environment);
        const finish = () => {
            timer.stop();
            signal.removeEventListener("abort", finish);
            wake?.removeEventListener("abort", finish);
            if (signal.aborted)
                reject(signal.reason);
            else
                resolve();
        };
        signal.addEventListener("abort", finish);
        wake?.addEventListener("abort", finish);
        timer.start(milliseconds, finish);
    });
}
function orAborted(promise, signal) {
    if (!signal)
        return promise;
    return new Promise((resolve, reject) => {
        const abort = () => reject(signal.reason);
        if (signal.aborted)
            abort();
        signal.addEventListener("abort", abort, { once: true });
        promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
}
async function withDeadline(environment, milliseconds, outer, run) {
    const controller = new AbortController();
    const passOn = () => controller.abort(outer.reason);
    if (outer.aborted)
        passOn();
    outer.addEventListener("abort", passOn);
    const timer = new Timer(environment);
    timer.start(milliseconds, () => controller.abort(new UnavailableError(`No answer within ${milliseconds} ms.`)));
    try {
        return await orAborted(run(controller.signal), controller.signal);
    }
    finally {
        timer.stop();
        outer.removeEventListener("abort", passOn);
    }
}
class AuthenticatedFetch {
    #environment;
    #keeper;
    #origins;
    constructor(environment, keeper, baseUrl, origins) {
        this.#environment = environment;
        this.#keeper = keeper;
        const all = [baseUrl, ...origins].map((url) => new URL(url, environment.origin).origin);
        this.#origins = new Set(environment.origin === undefined ? all : [...all, environment.origin]);
    }
    attachesTo(url) {
        return this.#origins.has(new URL(url, this.#environment.origin).origin);
    }
    async fetch(input, init) {
        const request = prepare(input, init, this.#environment.origin);
        if (request.authorized || !this.attachesTo(request.url))
            return this.#environment.fetch(input, init);
        const token = await orAborted(this.#keeper.token(), request.signal);
        const response = await this.#environment.fetch(request.make(token.accessToken));
        if (response.status !== 401)
            return response;
        const next = await orAborted(this.#keeper.token(token.accessToken), request.signal);
        if (next.accessToken === token.accessToken || !request.canReplay)
            return response;
        await response.body?.cancel();
        const replayed = await this.#environment.fetch(request.make(next.accessToken));
        if (replayed.status === 401)
            this.#keeper.refusedOnReplay(next.accessToken);
        return replayed;
    }
}
function decodeAccessToken(token) {
    const [header, claims, signature] = token.split(".");
    if (header === undefined || claims === undefined || signature === undefined)
        return undefined;
    try {
        const decoded = { header: decodePart(header), claims: decodePart(claims) };
        return isObject(decoded.header) && isObject(decoded.claims)
            ? decoded
            : undefined;
    }
    catch {
        return undefined;
    }
}
function decodePart(part) {
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (byte) => byte.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
}
function isObject(value) {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
function stringOrUndefined(value) {
    return typeof value === "string" ? value : undefined;
}
function instantOrUndefined(value) {
    const exists = typeof value === "number" && Math.abs(value) <= 8.64e15;
    return exists ? new Date(value).toISOString() : stringOrUndefined(value);
}
const TRAVEL_TIME = 1_000;
function holdToken(accessToken, serverExpiry, lifetime, now) {
    const claims = decodeAccessToken(accessToken)?.claims;
    const left = Math.max(0, lifetime);
    return {
        accessToken,
        sessionId: stringOrUndefined(claims?.sid),
        subject: stringOrUndefined(claims?.sub),
        serverExpiry,
        expiresAt: now + left,
        usableUntil: now + left - Math.min(TRAVEL_TIME, left / 10),
    };
}
const CSRF_HEADER = "x-csrf-token";
class Edge {
    #environment;
    #baseUrl;
    #language;
    #csrfToken;
    constructor(environment, baseUrl, language) {
        this.#environment = environment;
        this.#baseUrl = baseUrl.replace(/\/+$/, "");
        this.#language = language;
    }
    url(path) {
        return this.#baseUrl + path;
    }
    call(path, call) {
        return withDeadline(this.#environment, call.deadline, call.signal, async (signal) => {
            try {
                return await this.#send(path, call, signal);
            }
            catch (error) {
                if (!(error instanceof AuthError) || error.reason !== "CSRF_TOKEN_MISMATCH")
                    throw error;
                await this.#fetchCsrfToken(signal);
                return this.#send(path, call, signal);
            }
        });
    }
    #send(path, call, signal) {
        const { method = "POST", keepalive = false } = call;
        const headers = { ...call.headers };
        if (this.#csrfToken !== undefined)
            headers[CSRF_HEADER] = this.#csrfToken;
        if (method !== "POST")
            return this.#exchange(path, { method, headers, keepalive, signal });
        headers["content-type"] = "application/json";
        return this.#exchange(path, { method, headers, body: JSON.stringify(call.body ?? {}), keepalive, signal });
    }
    async #fetchCsrfToken(signal) {
        const answer = await this.#exchange("/v1/auth/csrf", { headers: {}, signal });
        this.#csrfToken = isObject(answer) ? stringOrUndefined(answer["csrfToken"]) : undefined;
    }
    async #exchange(path, init) {
        const headers = { accept: "application/json, application/problem+json", ...init.headers };
        const language = this.#language === undefined ? {} : { "accept-language": this.#language };
        try {
            const response = await this.#environment.fetch(this.url(path), {
                ...init,
                headers: { ...headers, ...language },
                credentials: "include",
                cache: "no-store",
                redirect: "error",
            });
            this.#csrfToken = response.headers.get(CSRF_HEADER) ?? this.#csrfToken;
            return await readAnswer(response);
        }
        catch (error) {
            init.signal.throwIfAborted();
            if (error instanceof AuthError)
                throw error;
            throw new UnavailableError("The server could not be reached.", { cause: error });
        }
    }
}
async function readAnswer(response) {
    const text = await response.text();
    let body;
    try {
        body = JSON.parse(text);
    }
    catch {
        body = undefined;
    }
    if (!response.ok)
        throw errorOf(response, isObject(body) ? body : {});
    if (body === undefined)
        throw new ProtocolError("The answer is not JSON.", { status: response.status });
    return body;
}
function errorOf(response, body) {
    const { status } = response;
    const problem = Array.isArray(body["details"]) ? problemOf(body, body["details"]) : body;
    const reason = stringOrUndefined(problem["reason"]);
    const facts = {
        status,
        reason,
        code: typeof problem["code"] === "number" ? problem["code"] : undefined,
        retryAfter: retryAfterOf(response),
        violations: violationsOf(problem),
        endCause: endCauseOf(problem["cause"]),
    };
    const message = stringOrUndefined(problem["detail"]) ?? stringOrUndefined(problem["title"]) ?? `HTTP status ${status}`;
    if (status === 401 && endsSession(reason))
        return new LoggedOutError(reason, facts);
    if (reason === "INVALID_CREDENTIALS")
        return new InvalidCredentialsError(message, facts);
    if (status === 429)
        return new RateLimitedError(message, facts);
    if (status >= 500 || status === 408)
        return new UnavailableError(message, facts);
    if (reason === "PASSWORD_REJECTED")
        return new PasswordRejectedError(message, facts);
    if (reason === "INVALID_REQUEST")
        return new InvalidRequestError(message, facts);
    return reason === undefined ? new ProtocolError(message, facts) : new AuthError(message, facts);
}
function problemOf(status, details) {
    const detail = (name) => details.filter(isObject).find((it) => it["@type"] === `type.googleapis.com/google.rpc.${name}`) ?? {};
    const { reason, metadata } = detail("ErrorInfo");
    return {
        reason,
        cause: isObject(metadata) ? metadata["cause"] : undefined,
        title: status["message"],
        detail: detail("LocalizedMessage")["message"],
        violations: detail("BadRequest")["fieldViolations"],
    };
}
function violationsOf(problem) {
    const list = problem["violations"];
    if (!Array.isArray(list))
        return [];
    return list.filter(isObject).map((entry) => ({
        field: stringOrUndefined(entry["field"]) ?? "",
        description: stringOrUndefined(entry["description"]) ?? "",
    }));
}
function retryAfterOf(response) {
    const value = response.headers.get("retry-after");
    if (value === null)
        return undefined;
    if (/^\d+$/.test(value))
        return Number(value) * 1_000;
    const wait = Date.parse(value) - Date.parse(response.headers.get("date") ?? "");
    return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
async function readSession(response) {
    const answer = await readAnswer(response);
    const subject = isObject(answer) ? stringOrUndefined(answer["subject"]) : undefined;
    if (!isObject(answer) || subject === undefined)
        throw new ProtocolError("The answer names no user.");
    return {
        subject,
        username: stringOrUndefined(answer["username"]) ?? "",
        externalId: stringOrUndefined(answer["externalId"]),
        sessionId: stringOrUndefined(answer["sessionId"]) ?? "",
        roles: strings(answer["roles"]),
        audiences: strings(answer["audiences"]),
        authTime: instantOrUndefined(answer["authTime"]),
        expiresAt: instantOrUndefined(answer["expiresAt"]),
        amr: strings(answer["amr"]),
        customClaims: isObject(answer["customClaims"]) ? answer["customClaims"] : {},
    };
}
function strings(value) {
    return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}
class Listeners {
    #listeners = new Set();
    listen(call) {
        const entry = { call };
        this.#listeners.add(entry);
        return () => void this.#listeners.delete(entry);
    }
    tell(value) {
        for (const { call } of [...this.#listeners]) {
            try {
                call(value);
            }
            catch (error) {
                queueMicrotask(() => {
                    throw error;
                });
            }
        }
    }
    clear() {
        this.#listeners.clear();
    }
}
async function underLock(environment, name, longestWait, run) {
    const { locks } = environment;
    if (!locks)
        return run(false);
    let running;
    const start = (waited) => (running = run(waited));
    try {
        if (await heldWhileFree(locks, name, start))
            return await running;
        return await heldAfterWait(environment, locks, name, longestWait, start);
    }
    catch {
        return running ?? run(false);
    }
}
function heldWhileFree(locks, name, start) {
    return locks.request(name, { ifAvailable: true }, async (lock) => {
        if (lock !== null)
            await start(false);
        return lock !== null;
    });
}
async function heldAfterWait(environment, locks, name, longestWait, start) {
    const giveUp = new AbortController();
    const timer = new Timer(environment);
    timer.start(longestWait, () => giveUp.abort());
    try {
        return await locks.request(name, { signal: giveUp.signal }, () => {
            timer.stop();
            return start(true);
        });
    }
    finally {
        timer.stop();
    }
}
const VERSION = 1;
const LOGOUT_REASONS = {
    LOGGED_OUT: true,
    SESSION_REPLACED: true,
    TOKEN_MISSING: true,
    REFRESH_TOKEN_INVALID: true,
    REFRESH_TOKEN_EXPIRED: true,
    REFRESH_TOKEN_REUSED: true,
    SESSION_REVOKED: true,
};
function encodeMessage(message, now) {
    if (message.type !== "refreshed")
        return { version: VERSION, ...message };
    const { accessToken, serverExpiry, expiresAt } = message.token;
    return {
        version: VERSION,
        type: message.type,
        login: message.login,
        accessToken,
        serverExpiry,
        lifetime: expiresAt - now,
    };
}
function decodeMessage(data, now) {
    if (!isObject(data) || data["version"] !== VERSION)
        return undefined;
    const sessionId = stringOrUndefined(data["sessionId"]);
    switch (data["type"]) {
        case "refreshed": {
            const { accessToken, serverExpiry, lifetime, login } = data;
            if (typeof accessToken !== "string" || typeof serverExpiry !== "number")
                return undefined;
            if (typeof lifetime !== "number")
                return undefined;
            const token = holdToken(accessToken, serverExpiry, lifetime, now);
            return { type: "refreshed", token, login: login === true };
        }
        case "logged-out": {
            const reason = stringOrUndefined(data["reason"]);
            if (reason === undefined || !Object.hasOwn(LOGOUT_REASONS, reason))
                return undefined;
            const endCause = endCauseOf(data["endCause"]);
            return { type: "logged-out", reason: reason, endCause, sessionId };
        }
        case "checked":
            return { type: "checked", sessionId };
        default:
            return undefined;
    }
}
function readOwnSessions(answer) {
    const current = isObject(answer) ? stringOrUndefined(answer["currentSessionId"]) : undefined;
    if (!isObject(answer) || current === undefined)
        throw new ProtocolError("The answer is no list of sessions.");
    const list = Array.isArray(answer["sessions"]) ? answer["sessions"].filter(isObject) : [];
    return list.map((session) => {
        const client = isObject(session["client"]) ? session["client"] : {};
        const id = stringOrUndefined(session["id"]) ?? "";
        return {
            id,
            current: id === current,
            clientName: stringOrUndefined(client["name"]) ?? "",
            clientClass: stringOrUndefined(client["class"]) ?? "",
            userAgent: stringOrUndefined(client["userAgent"]) ?? "",
            address: stringOrUndefined(client["address"]) ?? "",
            createdAt: instantOrUndefined(session["createdAt"]),
            refreshedAt: instantOrUndefined(session["refreshedAt"]),
            expiresAt: instantOrUndefined(session["expiresAt"]),
        };
    });
}
function readRevoked(answer) {
    const revoked = isObject(answer) ? (answer["revoked"] ?? 0) : undefined;
    if (typeof revoked !== "number")
        throw new ProtocolError("The answer does not say how many sessions have ended.");
    return revoked;
}
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;
function pauseAfter(failures, retryAfter, random) {
    const backOff = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, failures - 1));
    const spread = backOff * (0.5 + random / 2);
    return retryAfter === undefined ? spread : retryAfter + Math.min(spread, 1_000);
}
function isTemporary(error) {
    return error instanceof UnavailableError || error instanceof RateLimitedError;
}
async function retrying(environment, deadline, signal, wake, attempt) {
    const end = environment.now() + deadline;
    for (let failures = 1;; failures += 1) {
        try {
            return await attempt();
        }
        catch (error) {
            signal.throwIfAborted();
            if (!isTemporary(error))
                throw error;
            const pause = pauseAfter(failures, error.retryAfter, environment.random());
            if (environment.now() + pause >= end)
                throw error;
            await sleep(environment, pause, signal, wake());
        }
    }
}
function judgeArrival(held, token, login) {
    switch (held.status) {
        case "unknown":
            return "take";
        case "logged-out":
            return held.sessionId !== undefined && held.sessionId === token.sessionId ? "ignore" : "take";
        case "logged-in": {
            if (held.token.subject !== token.subject)
                return "replace";
            if (login || held.token.sessionId !== token.sessionId)
                return "take";
            return token.serverExpiry >= held.token.serverExpiry ? "take" : "ignore";
        }
    }
}
function endConcerns(held, sessionId) {
    if (held.status !== "logged-in")
        return false;
    return sessionId === undefined || held.token.sessionId === undefined || sessionId === held.token.sessionId;
}
function readTokens(answer, asked) {
    const tokens = isObject(answer) ? answer["tokens"] : undefined;
    const accessToken = isObject(tokens) ? stringOrUndefined(tokens["accessToken"]) : undefined;
    if (!isObject(tokens) || !accessToken) {
        throw new ProtocolError("The answer has no access token: is baseUrl the edge, with edge.envelope off?");
    }
    if (stringOrUndefined(tokens["refreshToken"])) {
        throw new ProtocolError("The edge hands refresh tokens to scripts: this client needs the refresh token transport `cookie`.");
    }
    const seconds = Number(tokens["expiresIn"] ?? 0);
    if (!Number.isFinite(seconds))
        throw new ProtocolError("The answer does not say how long the token lives.");
    const serverExpiry = Date.parse(instantOrUndefined(tokens["accessExpiresAt"]) ?? "");
    return holdToken(accessToken, Number.isFinite(serverExpiry) ? serverExpiry : 0, seconds * 1_000, asked);
}
const NEWS_DELAY = 100;
const FUTILE_FOR = 10_000;
class SessionKeeper {
    ended = new Listeners();
    changed = new Listeners();
    checkedElsewhere = new Listeners();
    #environment;
    #edge;
    #name;
    #limits;
    #channel;
    #life = new AbortController();
    #held = { status: "unknown" };
    #era = new AbortController();
    #arrival = new AbortController();
    #flight;
    #refusedOnReplay;
    constructor(environment, edge, baseUrl, limits) {
        this.#environment = environment;
        this.#edge = edge;
        this.#limits = limits;
        this.#name = `countersign:${new URL(baseUrl, environment.origin).href}`;
        this.#channel = environment.openChannel(this.#name, (data) => this.#receive(data));
    }
    get held() {
        return this.#held;
    }
    isLoggedOut() {
        return this.#held.status === "logged-out";
    }
    get life() {
        return this.#life.signal;
    }
    async login(body, headers) {
        this.#life.signal.throwIfAborted();
        this.#newEra(new LoggedOutError(null));
        const asked = this.#environment.now();
        const { callTimeout: deadline } = this.#limits;
        const answer = await this.#edge.call("/v1/auth/login", { body, headers, deadline, signal: this.#life.signal });
        this.#take(readTokens(answer, asked), "login");
    }
    async logout(everywhere) {
        const { callTimeout: deadline, refreshDeadline } = this.#limits;
        const signal = this.#life.signal;
        signal.throwIfAborted();
        const body = everywhere ? { everywhere } : {};
        const token = this.#current();
        const headers = token === undefined ? {} : { authorization: `Bearer ${token.accessToken}` };
        try {
            await retrying(this.#environment, refreshDeadline, signal, () => undefined, () => this.#edge.call("/v1/auth/logout", { body, headers, deadline, signal, keepalive: true }));
        }
        catch (error) {
            if (!(error instanceof LoggedOutError))
                throw error;
        }
        this.#endByUser();
    }
    async changePassword(currentPassword, newPassword) {
        this.#requireSession();
        await this.#flight?.catch(() => undefined);
        await underLock(this.#environment, this.#name, this.#limits.lockWait, async () => {
            const asked = this.#environment.now();
            const answer = await this.#ask("/v1/auth/password", { body: { currentPassword, newPassword } });
            this.#newEra(new LoggedOutError("SESSION_REVOKED"));
            this.#take(readTokens(answer, asked), "login");
        });
    }
    async #ask(path, call) {
        this.#requireSession();
        const { callTimeout: deadline } = this.#limits;
        try {
            return await this.#edge.call(path, { ...call, deadline, signal: this.#life.signal });
        }
        catch (error) {
            if (error instanceof LoggedOutError)
                this.#endByServer(error);
            throw error;
        }
    }
    async sessions() {
        return readOwnSessions(await this.#ask("/v1/auth/sessions", { method: "GET" }));
    }
    async endSessions(which) {
        const path = `/v1/auth/sessions/${encodeURIComponent(which)}`;
        const revoked = readRevoked(await this.#ask(path, { method: "DELETE" }));
        if (which === this.#current()?.sessionId)
            this.#endByUser();
        return revoked;
    }
    async token(refused) {
        this.#life.signal.throwIfAborted();
        const held = this.#held;
        if (held.status === "logged-in") {
            const { token } = held;
            if (token.accessToken !== refused && this.#environment.now() < token.usableUntil)
                return token;
            if (token.accessToken === refused && this.#isFutile(refused))
                return token;
        }
        return this.renew();
    }
    refusedOnReplay(accessToken) {
        this.#refusedOnReplay = { accessToken, at: this.#environment.now() };
    }
    async renew() {
        this.#requireSession();
        if (this.#flight === undefined) {
            const flight = this.#fly();
            this.#flight = flight;
            const landed = () => {
                if (this.#flight === flight)
                    this.#flight = undefined;
            };
            flight.then(landed, landed);
        }
        return this.#flight;
    }
    tellChecked() {
        if (this.#held.status !== "logged-in")
            return;
        this.#post({ type: "checked", sessionId: this.#held.token.sessionId });
    }
    close() {
        const closed = new ClosedError();
        this.#life.abort(closed);
        this.#era.abort(closed);
        this.#channel?.close();
        for (const listeners of [this.ended, this.changed, this.checkedElsewhere])
            listeners.clear();
    }
    #fly() {
        const era = this.#era.signal;
        const before = this.#current();
        const { refreshDeadline, lockWait } = this.#limits;
        return retrying(this.#environment, refreshDeadline, era, () => this.#arrival.signal, () => underLock(this.#environment, this.#name, lockWait, async (waited) => {
            era.throwIfAborted();
            if (waited && this.#current() === before) {
                await sleep(this.#environment, NEWS_DELAY, era, this.#arrival.signal);
            }
            const arrived = this.#current();
            if (arrived !== undefined && arrived !== before)
                return arrived;
            return this.#refresh(era);
        }));
    }
    async #refresh(era) {
        const asked = this.#environment.now();
        try {
            const { callTimeout: deadline } = this.#limits;
            const answer = await this.#edge.call("/v1/auth/refresh", { body: {}, deadline, signal: era });
            era.throwIfAborted();
            return this.#take(readTokens(answer, asked), "refresh");
        }
        catch (error) {
            era.throwIfAborted();
            if (error instanceof LoggedOutError)
                this.#endByServer(error);
            throw error;
        }
    }
    #requireSession() {
        this.#life.signal.throwIfAborted();
        const held = this.#held;
        if (held.status === "logged-out")
            throw new LoggedOutError(held.reason, { endCause: held.endCause });
    }
    #endByUser() {
        const sessionId = this.#current()?.sessionId;
        this.#post({ type: "logged-out", reason: "LOGGED_OUT", endCause: undefined, sessionId });
        this.#end(new LoggedOutError("LOGGED_OUT"));
    }
    #endByServer(error) {
        if (this.#held.status === "logged-in" && error.logoutReason !== null) {
            const { sessionId } = this.#held.token;
            this.#post({ type: "logged-out", reason: error.logoutReason, endCause: error.endCause, sessionId });
        }
        this.#end(error);
    }
    #receive(data) {
        const message = decodeMessage(data, this.#environment.now());
        switch (message?.type) {
            case "refreshed":
                this.#arrive(message.token, "other-tab", message.login);
                this.#arrival.abort();
                this.#arrival = new AbortController();
                return;
            case "logged-out":
                if (!endConcerns(this.#held, message.sessionId))
                    return;
                this.#end(new LoggedOutError(message.reason, { endCause: message.endCause }));
                return;
            case "checked":
                if (endConcerns(this.#held, message.sessionId))
                    this.checkedElsewhere.tell();
                return;
            case undefined:
                return;
        }
    }
    #take(token, cause) {
        this.#arrive(token, cause, cause === "login");
        this.#post({ type: "refreshed", token, login: cause === "login" });
        return this.#current() ?? token;
    }
    #arrive(token, cause, login) {
        const arrival = judgeArrival(this.#held, token, login);
        if (arrival === "ignore")
            return;
        if (arrival === "replace")
            this.#end(new LoggedOutError("SESSION_REPLACED"));
        this.#held = { status: "logged-in", token };
        this.changed.tell(cause);
    }
    #end(error) {
        const before = this.#held;
        if (before.status === "logged-out")
            return;
        const sessionId = before.status === "logged-in" ? before.token.sessionId : undefined;
        const none = before.status === "unknown" && error.logoutReason === "TOKEN_MISSING";
        const { logoutReason: reason, endCause } = error;
        this.#held = { status: "logged-out", reason: none ? null : reason, endCause, sessionId };
        this.#newEra(error);
        this.changed.tell("end");
        if (before.status === "logged-in" && reason !== null)
            this.ended.tell({ reason, endCause });
    }
    #newEra(reason) {
        this.#era.abort(reason);
        this.#era = new AbortController();
        this.#flight = undefined;
        this.#refusedOnReplay = undefined;
    }
    #current() {
        return this.#held.status === "logged-in" ? this.#held.token : undefined;
    }
    #isFutile(refused) {
        const known = this.#refusedOnReplay;
        return known?.accessToken === refused && this.#environment.now() - known.at < FUTILE_FOR;
    }
    #post(message) {
        this.#channel?.post(encodeMessage(message, this.#environment.now()));
    }
}
const SHORTEST_RENEWAL = 1_000;
const LONGEST_BETWEEN_ATTEMPTS = 60_000;
class Timekeeper {
    #environment;
    #keeper;
    #habits;
    #renewal;
    #checking;
    #stop;
    #renewalDue = false;
    #failures = 0;
    #checkUnderWay = false;
    constructor(environment, keeper, habits) {
        this.#environment = environment;
        this.#keeper = keeper;
        this.#habits = habits;
        this.#renewal = new Timer(environment);
        this.#checking = new Timer(environment);
        this.#stop = [
            keeper.changed.listen(() => this.#schedule()),
            keeper.checkedElsewhere.listen(() => this.#scheduleCheck()),
            environment.onWake(() => this.#wake()),
        ];
    }
    close() {
        for (const stop of this.#stop)
            stop();
        this.#renewal.stop();
        this.#checking.stop();
    }
    #schedule() {
        this.#renewalDue = false;
        this.#failures = 0;
        const { held } = this.#keeper;
        if (held.status !== "logged-in") {
            this.#renewal.stop();
            this.#checking.stop();
            return;
        }
        this.#scheduleCheck();
        if (!this.#habits.renewAhead)
            return;
        const left = held.token.expiresAt - this.#environment.now();
        const share = 0.7 + 0.15 * this.#environment.random();
        this.#renewal.start(Math.max(SHORTEST_RENEWAL, left * share), () => this.#renew());
    }
    #renew() {
        if (this.#environment.hidden()) {
            this.#renewalDue = true;
            return;
        }
        this.#keeper.renew().catch(() => {
            if (this.#keeper.held.status !== "logged-in" || this.#keeper.life.aborted)
                return;
            this.#failures += 1;
            const pause = pauseAfter(this.#failures + 3, undefined, this.#environment.random());
            this.#renewal.start(Math.min(LONGEST_BETWEEN_ATTEMPTS, pause * this.#failures), () => this.#renew());
        });
    }
    #wake() {
        if (this.#keeper.held.status !== "logged-in" || this.#environment.hidden())
            return;
        if (this.#renewalDue || this.#failures > 0) {
            this.#renewalDue = false;
            this.#renew();
        }
        if (this.#habits.checkEvery > 0)
            this.#check();
    }
    #scheduleCheck() {
        const { checkEvery } = this.#habits;
        if (checkEvery <= 0)
            return;
        this.#checking.start(checkEvery * (0.8 + 0.2 * this.#environment.random()), () => this.#check());
    }
    #check() {
        if (this.#environment.hidden())
            return this.#scheduleCheck();
        if (this.#checkUnderWay)
            return;
        this.#checkUnderWay = true;
        this.#habits
            .check()
            .then(() => this.#keeper.tellChecked(), () => undefined)
            .finally(() => {
            this.#checkUnderWay = false;
            if (this.#keeper.held.status === "logged-in" && !this.#keeper.life.aborted)
                this.#scheduleCheck();
        });
    }
}
function createAuthClient(options) {
    const environment = { ...browserEnvironment(), ...options.environment };
    const edge = new Edge(environment, options.baseUrl, options.language);
    const limits = {
        callTimeout: options.callTimeout ?? 8_000,
        refreshDeadline: options.refreshDeadline ?? 20_000,
        lockWait: options.lockWait ?? 1_000,
    };
    const keeper = new SessionKeeper(environment, edge, options.baseUrl, limits);
    const authenticated = new AuthenticatedFetch(environment, keeper, options.baseUrl, options.origins ?? []);
    const session = () => askWho(environment, keeper, authenticated, edge, limits);
    const timekeeper = new Timekeeper(environment, keeper, {
        renewAhead: options.renewAhead ?? true,
        checkEvery: options.checkEvery ?? 0,
        check: session,
    });
    return {
        login: (request) => keeper.login(loginBody(request), captchaHeader(request.captchaResponse)),
        logout: (how) => keeper.logout(how?.everywhere ?? false),
        changePassword: (currentPassword, newPassword) => keeper.changePassword(currentPassword, newPassword),
        resetPassword: async (resetToken, newPassword) => {
            const body = { resetToken, newPassword };
            const { callTimeout: deadline } = limits;
            await edge.call("/v1/auth/password/reset", { body, deadline, signal: keeper.life });
        },
        sessions: () => keeper.sessions(),
        endSession: async (id) => (await keeper.endSessions(id)) > 0,
        endOtherSessions: () => keeper.endSessions("others"),
        session,
        fetch: (input, init) => authenticated.fetch(input, init),
        refresh: async () => void (await keeper.renew()),
        accessToken: async (how) => {
            if (how?.refused !== undefined && how.replayed)
                keeper.refusedOnReplay(how.refused);
            return (await keeper.token(how?.refused)).accessToken;
        },
        attachesTo: (url) => authenticated.attachesTo(url),
        get state() {
            return stateOf(keeper, environment);
        },
        onLoggedOut: (listener) => keeper.ended.listen(({ reason, endCause }) => listener(reason, endCause)),
        onChange: (listener) => keeper.changed.listen((cause) => listener(stateOf(keeper, environment), cause)),
        close: () => {
            timekeeper.close();
            keeper.close();
        },
    };
}
async function askWho(environment, keeper, authenticated, edge, limits) {
    if (keeper.isLoggedOut())
        return null;
    const deadline = limits.refreshDeadline + limits.callTimeout;
    try {
        return await withDeadline(environment, deadline, keeper.life, async (signal) => readSession(await authenticated.fetch(edge.url("/v1/auth/session"), { cache: "no-store", signal })));
    }
    catch (error) {
        if (keeper.isLoggedOut())
            return null;
        throw error;
    }
}
function loginBody(request) {
    const { username, password, audiences, clientName, clientClass } = request;
    const body = { username, password };
    if (audiences !== undefined)
        body["audiences"] = audiences;
    if (clientName !== undefined || clientClass !== undefined)
        body["client"] = { name: clientName, class: clientClass };
    return body;
}
function captchaHeader(response) {
    return response === undefined ? {} : { "x-captcha-response": response };
}
function stateOf(keeper, environment) {
    const { held } = keeper;
    if (held.status === "unknown")
        return { status: "unknown" };
    if (held.status === "logged-out")
        return { status: "logged-out", reason: held.reason, endCause: held.endCause };
    const { accessToken, expiresAt, sessionId, subject } = held.token;
    const expiresIn = Math.max(0, expiresAt - environment.now());
    return { status: "logged-in", accessToken, expiresIn, sessionId, subject };
}
export { createAuthClient, AuthError, ClosedError, InvalidCredentialsError, InvalidRequestError, LoggedOutError, PasswordRejectedError, ProtocolError, RateLimitedError, UnavailableError, decodeAccessToken };
