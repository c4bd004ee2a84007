// Made from sdk/web by `make web`.
import { AuthError, createAuthClient, decodeAccessToken, UnavailableError, } from "./countersign.js";
const en = {
    tag: "demonstration",
    looking: "Looking for a session…",
    loginTitle: "Log in",
    loginHint: "The name and the password are in the terminal in which countersign dev was started.",
    username: "Username",
    password: "Password",
    login: "Log in",
    left: "until the token expires",
    claimsTitle: "What the access token says",
    tryTitle: "Try it",
    secondTab: "Open a second tab",
    secondTabHint: "One refresh serves both: watch the wire in each. Log out in one, and the other goes too.",
    twenty: "20 requests, spoiled token",
    twentyHint: "All of them are refused, one refresh goes out, and all of them succeed.",
    renew: "Refresh now",
    renewHint: "Otherwise the client does it ahead of expiry, by the server's times and not this clock.",
    elsewhere: "Copy a curl that ends it",
    elsewhereHint: "Paste it into a terminal: the session ends, and every tab is out within a second.",
    copied: "Copied",
    logout: "Log out",
    logoutEverywhere: "Log out everywhere",
    wireTitle: "On the wire",
    wireHint: "What this tab sent and got. Secrets are shortened; the refresh token is not here, for no script can see it.",
    wireEmpty: "Nothing yet.",
    clear: "Clear",
    roles: "roles: ",
    noRoles: "no roles",
    fromLogin: "This token came with the login.",
    fromRefresh: "This tab refreshed it.",
    fromOtherTab: "Another tab refreshed it; nothing went over the wire from here.",
    eventOtherTab: "← another tab: here is a new access token",
    eventEnd: "the session has ended: ",
    unavailable: "The server cannot be reached just now. The session goes on.",
    hiddenCookie: "the refresh token, in a cookie that scripts cannot read",
};
const zh = {
    tag: "演示",
    looking: "正在查找会话……",
    loginTitle: "登录",
    loginHint: "用户名和密码显示在启动 countersign dev 的终端里。",
    username: "用户名",
    password: "密码",
    login: "登录",
    left: "后令牌过期",
    claimsTitle: "访问令牌的内容",
    tryTitle: "试一试",
    secondTab: "打开第二个标签页",
    secondTabHint: "一次刷新供两个标签页共用：请看各自的网络记录。在一个标签页登出，另一个也随之登出。",
    twenty: "20 个请求，令牌损坏",
    twentyHint: "全部先被拒绝，只发出一次刷新，然后全部成功。",
    renew: "立即刷新",
    renewHint: "平时客户端会在过期之前自动刷新，依据的是服务器的时间，而不是本机时钟。",
    elsewhere: "复制结束会话的 curl",
    elsewhereHint: "粘贴到终端执行：会话随即结束，所有标签页在一秒之内登出。",
    copied: "已复制",
    logout: "登出",
    logoutEverywhere: "在所有设备登出",
    wireTitle: "网络记录",
    wireHint: "此标签页收发的内容。机密内容已缩短；刷新令牌不在其中，因为任何脚本都看不到它。",
    wireEmpty: "暂无内容。",
    clear: "清空",
    roles: "角色：",
    noRoles: "没有角色",
    fromLogin: "此令牌来自登录。",
    fromRefresh: "此令牌由本标签页刷新。",
    fromOtherTab: "此令牌由另一个标签页刷新，本页没有发出任何请求。",
    eventOtherTab: "← 另一个标签页：送来新的访问令牌",
    eventEnd: "会话已结束：",
    unavailable: "暂时无法连接服务器，会话仍然有效。",
    hiddenCookie: "刷新令牌，保存在脚本无法读取的 cookie 中",
};
const endings = {
    en: {
        LOGGED_OUT: "You have logged out.",
        SESSION_REPLACED: "Another user has logged in, in another tab.",
        TOKEN_MISSING: "The session's cookie is gone.",
        REFRESH_TOKEN_INVALID: "The session is not known any more.",
        REFRESH_TOKEN_EXPIRED: "The session has expired.",
        REFRESH_TOKEN_REUSED: "The session was ended for safety, because an old token was used.",
        SESSION_REVOKED: "The session was ended from elsewhere.",
    },
    zh: {
        LOGGED_OUT: "您已登出。",
        SESSION_REPLACED: "另一个用户已在其他标签页登录。",
        TOKEN_MISSING: "会话的 cookie 已不存在。",
        REFRESH_TOKEN_INVALID: "会话已不存在。",
        REFRESH_TOKEN_EXPIRED: "会话已过期。",
        REFRESH_TOKEN_REUSED: "检测到旧令牌被再次使用，为安全起见会话已终止。",
        SESSION_REVOKED: "会话已在别处结束。",
    },
};
function stringsIn(language) {
    return language === "zh" ? zh : en;
}
function endingIn(language, reason) {
    return endings[language][reason];
}
const LONGEST = 200;
const SECRET_FIELDS = new Set(["password", "accessToken", "refreshToken", "token"]);
function shorten(secret) {
    return secret.length <= 24 ? "•".repeat(8) : `${secret.slice(0, 10)}…${secret.slice(-6)}`;
}
function showBody(text) {
    if (text === "")
        return "";
    try {
        const hide = (key, value) => SECRET_FIELDS.has(key) && typeof value === "string" ? shorten(value) : value;
        return JSON.stringify(JSON.parse(text), hide, 2);
    }
    catch {
        return text.slice(0, 500);
    }
}
class WireLog {
    #list;
    #empty;
    #last;
    constructor(list, empty) {
        this.#list = list;
        this.#empty = empty;
    }
    send(sent) {
        const key = `${sent.method} ${sent.path} ${sent.bearer}`;
        let line = this.#last;
        if (line?.key !== key) {
            line = { key, item: document.createElement("li"), sent, at: now(), statuses: new Set(), count: 0 };
            this.#add(line.item);
            this.#last = line;
        }
        const shown = line;
        shown.count += 1;
        draw(shown, undefined);
        return (received) => {
            shown.statuses.add(received.status);
            draw(shown, received);
        };
    }
    event(text) {
        const item = document.createElement("li");
        item.append(element("div", "event", element("time", "", now()), element("span", "", text)));
        this.#add(item);
        this.#last = undefined;
    }
    clear() {
        this.#list.replaceChildren();
        this.#last = undefined;
        this.#empty.hidden = false;
    }
    #add(item) {
        this.#list.prepend(item);
        this.#empty.hidden = true;
        while (this.#list.children.length > LONGEST)
            this.#list.lastElementChild?.remove();
    }
}
function draw({ item, sent, at, statuses, count }, received) {
    const what = element("span", "what", `${sent.method} ${sent.path}`);
    if (count > 1)
        what.append(element("span", "times", `× ${count}`));
    const status = element("span", "status");
    for (const code of [...statuses].sort())
        status.append(element("span", gradeOf(code), code === 0 ? "—" : ` ${code}`));
    const took = received === undefined ? "…" : `${Math.round(received.milliseconds)} ms`;
    const summary = element("summary", "", element("time", "", at), what, status, element("span", "took", took));
    const details = element("pre", "", `${sent.details}\n\n${received?.details ?? "…"}`);
    const made = element("details", "", summary, details);
    made.open = item.querySelector("details")?.open ?? false;
    item.replaceChildren(made);
}
function gradeOf(status) {
    if (status === 0 || status >= 500)
        return "broken";
    return status >= 400 ? "refused" : "good";
}
function now() {
    return new Date().toLocaleTimeString("en-GB");
}
function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className !== "")
        made.className = className;
    made.append(...children);
    return made;
}
function watchedFetch(watch) {
    return async (input, init) => {
        const request = new Request(input, init);
        request.headers.set("accept-language", watch.language());
        const bearer = request.headers.get("authorization");
        if (bearer !== null && watch.spoil > 0) {
            watch.spoil -= 1;
            request.headers.set("authorization", `${bearer.slice(0, -12)}${"A".repeat(12)}`);
        }
        const { pathname: path } = new URL(request.url);
        const details = await describeRequest(request.clone(), watch.hiddenCookie());
        const receive = watch.send({
            method: request.method,
            path,
            bearer: request.headers.get("authorization") ?? "",
            details,
        });
        const started = performance.now();
        const show = (status, text) => receive({ status, milliseconds: performance.now() - started, details: text });
        try {
            const response = await fetch(request);
            const text = await response.clone().text();
            show(response.status, describeResponse(response, text));
            return response;
        }
        catch (error) {
            show(0, String(error));
            throw error;
        }
    };
}
async function describeRequest(request, hiddenCookie) {
    const lines = [`${request.method} ${new URL(request.url).pathname}`];
    const bearer = request.headers.get("authorization");
    if (bearer !== null)
        lines.push(`authorization: Bearer ${shorten(bearer.slice(7))}`);
    if (request.credentials === "include")
        lines.push(`cookie: (${hiddenCookie})`);
    const body = showBody(await request.text());
    if (body !== "")
        lines.push(body);
    return lines.join("\n");
}
function describeResponse(response, text) {
    const lines = [`${response.status} ${response.statusText}`];
    for (const name of ["content-type", "retry-after", "www-authenticate"]) {
        const value = response.headers.get(name);
        if (value !== null)
            lines.push(`${name}: ${value}`);
    }
    const body = showBody(text);
    if (body !== "")
        lines.push(body);
    return lines.join("\n");
}
function byId(id) {
    return document.getElementById(id);
}
let language = initialLanguage();
let cause = "refresh";
let fullLife = 1;
const wire = new WireLog(byId("wire"), byId("wire-empty"));
const watch = {
    send: (sent) => wire.send(sent),
    language: () => (language === "zh" ? "zh-CN" : "en"),
    hiddenCookie: () => say().hiddenCookie,
    spoil: 0,
};
const client = createAuthClient({
    baseUrl: location.origin,
    checkEvery: 800,
    environment: { fetch: watchedFetch(watch) },
});
function say() {
    return stringsIn(language);
}
function initialLanguage() {
    const asked = location.hash.slice(1) || navigator.language;
    return asked.startsWith("zh") ? "zh" : "en";
}
function speak(next) {
    language = next;
    document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
    const strings = say();
    for (const element of document.querySelectorAll("[data-text]")) {
        element.textContent = strings[element.dataset["text"]];
    }
    for (const button of document.querySelectorAll("[data-language]")) {
        button.setAttribute("aria-pressed", String(button.dataset["language"] === next));
    }
    show(client.state);
}
function show(state) {
    byId("looking").hidden = state.status !== "unknown";
    byId("logged-out").hidden = state.status !== "logged-out";
    byId("logged-in").hidden = state.status !== "logged-in";
    const notice = byId("notice");
    notice.hidden = state.status !== "logged-out" || state.reason === null;
    if (state.status === "logged-out" && state.reason !== null)
        notice.textContent = endingIn(language, state.reason);
    if (state.status === "logged-in")
        showToken(state.accessToken);
    tick();
}
function showToken(accessToken) {
    const strings = say();
    const claims = decodeAccessToken(accessToken)?.claims ?? {};
    const origins = {
        login: strings.fromLogin,
        refresh: strings.fromRefresh,
        "other-tab": strings.fromOtherTab,
        end: "",
    };
    byId("origin").textContent = origins[cause];
    byId("username").textContent = String(claims["username"] ?? claims["preferred_username"] ?? claims.sub ?? "");
    byId("roles").textContent = claims.roles?.length ? strings.roles + claims.roles.join(", ") : strings.noRoles;
    const rows = Object.entries(claims).flatMap(([name, value]) => [cell("dt", name), cell("dd", showClaim(name, value))]);
    byId("claims").replaceChildren(...rows);
}
function cell(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
}
function showClaim(name, value) {
    const isTime = ["exp", "iat", "nbf", "auth_time", "sxp"].includes(name) && typeof value === "number";
    if (isTime)
        return new Date(value * 1_000).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
    return typeof value === "string" ? value : JSON.stringify(value);
}
function tick() {
    const { state } = client;
    if (state.status !== "logged-in")
        return;
    const seconds = Math.ceil(state.expiresIn / 1_000);
    byId("countdown").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    byId("life").value = state.expiresIn / fullLife;
}
function onClick(id, run) {
    const button = byId(id);
    button.addEventListener("click", async () => {
        button.disabled = true;
        try {
            await run();
        }
        catch (error) {
            wire.event(error instanceof UnavailableError ? say().unavailable : messageOf(error));
        }
        finally {
            button.disabled = false;
        }
    });
}
function messageOf(error) {
    return error instanceof AuthError ? error.message : String(error);
}
async function login(event) {
    event.preventDefault();
    const form = event.target;
    const fields = new FormData(form);
    const failure = byId("failure");
    const submit = form.querySelector("button");
    failure.hidden = true;
    submit.disabled = true;
    try {
        await client.login({ username: String(fields.get("username")), password: String(fields.get("password")) });
        form.reset();
    }
    catch (error) {
        failure.textContent = messageOf(error);
        failure.hidden = false;
    }
    finally {
        submit.disabled = false;
    }
}
async function twentyRequests() {
    watch.spoil = 20;
    await Promise.allSettled(Array.from({ length: 20 }, () => client.fetch("/v1/auth/session")));
    watch.spoil = 0;
}
async function copyCurl() {
    const body = JSON.stringify({ accessToken: await client.accessToken() });
    const line = `curl -sS ${location.origin}/v1/auth/logout -H 'content-type: application/json' -d '${body}'`;
    await navigator.clipboard.writeText(line);
    wire.event(say().copied);
}
client.onChange((state, why) => {
    cause = why;
    if (why === "other-tab")
        wire.event(say().eventOtherTab);
    if (state.status === "logged-in")
        fullLife = Math.max(1, state.expiresIn);
    show(state);
});
client.onLoggedOut((reason) => wire.event(say().eventEnd + reason));
byId("login").addEventListener("submit", (event) => void login(event));
onClick("second-tab", () => window.open(location.href, "_blank", "noopener"));
onClick("twenty", twentyRequests);
onClick("renew", () => client.refresh());
onClick("elsewhere", copyCurl);
onClick("logout", () => client.logout());
onClick("logout-everywhere", () => client.logout({ everywhere: true }));
onClick("clear", () => wire.clear());
for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
        speak(button.dataset["language"]);
        history.replaceState(null, "", `#${language}`);
    });
}
setInterval(tick, 250);
speak(language);
async function findSession() {
    try {
        await client.session();
    }
    catch (error) {
        wire.event(error instanceof UnavailableError ? say().unavailable : messageOf(error));
        if (client.state.status === "unknown")
            setTimeout(() => void findSession(), 3_000);
    }
}
void findSession();
