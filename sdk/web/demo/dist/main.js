// Made from sdk/web by `make web`.
import { AuthError, createAuthClient, PasswordRejectedError, UnavailableError } from "./countersign.js";
import { decodeAccessToken } from "./countersign.js";
function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className !== "")
        made.className = className;
    made.append(...children);
    return made;
}
function textElement(name, className, key, strings) {
    const made = element(name, className, strings[key]);
    made.dataset["text"] = key;
    return made;
}
class DeviceList {
    #client;
    #list;
    #say;
    #onClick;
    constructor(client, list, say, onClick) {
        this.#client = client;
        this.#list = list;
        this.#say = say;
        this.#onClick = onClick;
    }
    async show() {
        const sessions = await this.#client.sessions();
        this.#list.replaceChildren(...sessions.map((session) => this.#row(session)));
    }
    async endOthers() {
        await this.#client.endOtherSessions();
        await this.show();
    }
    clear() {
        this.#list.replaceChildren();
    }
    #row(session) {
        const since = session.createdAt === undefined ? "" : new Date(session.createdAt).toLocaleString(document.documentElement.lang || undefined);
        const client = session.clientName || browserIn(session.userAgent);
        const what = element("span", "", [client, session.address].filter((text) => text !== "").join(" · "));
        const when = element("span", "muted small", since);
        const about = element("div", "", what, element("br", ""), when);
        if (session.current) {
            return element("li", "", about, textElement("span", "muted", "thisBrowser", this.#say()));
        }
        const end = textElement("button", "", "endDevice", this.#say());
        end.setAttribute("type", "button");
        this.#onClick(end, async () => {
            await this.#client.endSession(session.id);
            await this.show();
        });
        return element("li", "", about, end);
    }
}
function browserIn(userAgent) {
    const known = /(Edg|OPR|Firefox|Chrome|Safari)\/[\d.]+/.exec(userAgent)?.[1];
    const names = { Edg: "Edge", OPR: "Opera" };
    return known === undefined ? userAgent.slice(0, 60) : (names[known] ?? known);
}
const en = {
    tag: "demonstration",
    looking: "Looking for a session…",
    loginTitle: "Log in",
    loginHint: "The terminal that runs countersign dev shows the username and the password.",
    username: "Username",
    password: "Password",
    login: "Log in",
    left: "until the token expires",
    claimsTitle: "What the access token says",
    tryTitle: "Try it",
    twenty: "Send 20 bad requests",
    twentyHint: "Their token is damaged, so the server refuses all 20. The client refreshes once, repeats them, and all succeed.",
    secondTab: "Open a second tab",
    secondTabHint: "One refresh serves both tabs. Log out in one, and the other is logged out too.",
    renew: "Refresh now",
    renewHint: "Otherwise the client refreshes on its own before the token expires.",
    elsewhere: "Copy a logout command",
    elsewhereHint: "Run it in a terminal. The session ends, and within a second every tab is logged out.",
    copied: "Copied. Paste it into a terminal.",
    notCopied: "The browser does not let this page write to the clipboard.",
    logout: "Log out",
    logoutEverywhere: "Log out everywhere",
    devicesTitle: "Where you are logged in",
    devicesHint: "Each login is a session of its own. To end one takes effect at once, wherever it is.",
    devicesShow: "Show my sessions",
    devicesOthers: "End all others",
    thisBrowser: "this browser",
    endDevice: "End",
    changeTitle: "Change the password",
    changeHint: "Every other session ends. This one goes on with new tokens.",
    currentPassword: "Current password",
    newPassword: "New password",
    change: "Change the password",
    changeDone: "The password is changed. You are logged in here alone.",
    wireTitle: "On the wire",
    wireHint: "What this tab sends and receives. Secrets are shortened. The refresh token never appears: it is in a cookie that scripts cannot read.",
    wireEmpty: "Nothing yet.",
    clear: "Clear",
    opened: "Page opened",
    background: "On its own",
    check: "Session checks",
    noSession: "no session yet",
    noAnswer: "no answer",
    lastOfSeveral: "There were several such calls. This is the last one.",
    callsTitle: "What the calls do",
    callLogin: "The answer has an access token. The refresh token is in a cookie that scripts cannot read.",
    callSession: "A request with the access token. After a logout the server refuses it at once.",
    callRefresh: "Replaces both tokens. One call serves every tab, and it is safe to repeat when the answer is lost.",
    callLogout: "Ends the session in every tab.",
    roles: "roles: ",
    noRoles: "no roles",
    fromLogin: "This token came with the login.",
    fromRefresh: "This tab refreshed it.",
    fromOtherTab: "Another tab refreshed it. This tab sent nothing.",
    eventOtherTab: "Another tab sent a new access token.",
    eventEnd: "The session has ended: ",
    unavailable: "The server cannot be reached. The session is kept.",
    hiddenCookie: "the refresh token, in a cookie that scripts cannot read",
};
const zh = {
    tag: "演示",
    looking: "正在查找会话……",
    loginTitle: "登录",
    loginHint: "用户名和密码显示在运行 countersign dev 的终端里。",
    username: "用户名",
    password: "密码",
    login: "登录",
    left: "后令牌过期",
    claimsTitle: "访问令牌的内容",
    tryTitle: "试一试",
    twenty: "发送 20 个无效请求",
    twentyHint: "这些请求的令牌已损坏，服务器会全部拒绝。客户端只刷新一次，然后重发，全部成功。",
    secondTab: "打开第二个标签页",
    secondTabHint: "一次刷新供两个标签页共用。在一个标签页登出，另一个也随之登出。",
    renew: "立即刷新",
    renewHint: "平时客户端会在令牌过期之前自动刷新。",
    elsewhere: "复制登出命令",
    elsewhereHint: "在终端执行：会话随即结束，所有标签页在一秒之内登出。",
    copied: "已复制，请粘贴到终端。",
    notCopied: "浏览器不允许此页面写入剪贴板。",
    logout: "登出",
    logoutEverywhere: "在所有设备登出",
    devicesTitle: "登录的设备",
    devicesHint: "每次登录都是一个独立的会话。无论在哪里，结束后立即生效。",
    devicesShow: "显示我的会话",
    devicesOthers: "结束其他会话",
    thisBrowser: "此浏览器",
    endDevice: "结束",
    changeTitle: "修改密码",
    changeHint: "其他会话全部结束，此处换用新的令牌，保持登录。",
    currentPassword: "当前密码",
    newPassword: "新密码",
    change: "修改密码",
    changeDone: "密码已修改，现在只有此处处于登录状态。",
    wireTitle: "网络记录",
    wireHint: "此标签页收发的内容。机密内容已缩短。刷新令牌不会出现：它保存在脚本无法读取的 cookie 中。",
    wireEmpty: "暂无内容。",
    clear: "清空",
    opened: "打开页面",
    background: "自动进行",
    check: "会话检查",
    noSession: "尚无会话",
    noAnswer: "无响应",
    lastOfSeveral: "这样的请求有多个，此处是最后一个。",
    callsTitle: "各个请求的作用",
    callLogin: "响应中有访问令牌。刷新令牌保存在脚本无法读取的 cookie 中。",
    callSession: "携带访问令牌的请求。登出之后，服务器立即拒绝。",
    callRefresh: "同时更换两个令牌。一次请求供所有标签页共用，响应丢失时可以安全重试。",
    callLogout: "结束所有标签页中的会话。",
    roles: "角色：",
    noRoles: "没有角色",
    fromLogin: "此令牌来自登录。",
    fromRefresh: "此令牌由本标签页刷新。",
    fromOtherTab: "此令牌由另一个标签页刷新，本页没有发出任何请求。",
    eventOtherTab: "另一个标签页送来新的访问令牌。",
    eventEnd: "会话已结束：",
    unavailable: "无法连接服务器，会话仍然保留。",
    hiddenCookie: "刷新令牌，保存在脚本无法读取的 cookie 中",
};
const endings = {
    en: {
        LOGGED_OUT: "You have logged out.",
        SESSION_REPLACED: "Another user has logged in, in another tab.",
        TOKEN_MISSING: "The session's cookie is gone.",
        REFRESH_TOKEN_INVALID: "The server no longer knows the session.",
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
const causes = {
    en: {
        LOGGED_OUT: "You have logged out of this session from elsewhere.",
        LOGGED_OUT_EVERYWHERE: "You have logged out everywhere, from another device.",
        PASSWORD_CHANGED: "Signed out because the password was changed on another device.",
        SIGNED_IN_ELSEWHERE: "Signed out because you have signed in on another device.",
        REVOKED_BY_ADMINISTRATOR: "An administrator has ended the session.",
        USER_DISABLED: "An administrator has disabled the account.",
        USER_DELETED: "The account was deleted.",
        TOKEN_REUSED: "The session was ended for safety, because an old token was used.",
    },
    zh: {
        LOGGED_OUT: "您已从别处登出此会话。",
        LOGGED_OUT_EVERYWHERE: "您已在另一台设备上登出所有设备。",
        PASSWORD_CHANGED: "密码已在另一台设备上更改，因此您已登出。",
        SIGNED_IN_ELSEWHERE: "您已在另一台设备上登录，因此此处已登出。",
        REVOKED_BY_ADMINISTRATOR: "管理员已结束此会话。",
        USER_DISABLED: "管理员已停用此账户。",
        USER_DELETED: "此账户已被删除。",
        TOKEN_REUSED: "检测到旧令牌被再次使用，为安全起见会话已终止。",
    },
};
function stringsIn(language) {
    return language === "zh" ? zh : en;
}
function endingIn(language, reason, cause) {
    return cause === undefined ? endings[language][reason] : causes[language][cause];
}
function byId(id) {
    return document.getElementById(id);
}
const PARTS = { "unknown": ["looking"], "logged-out": ["logged-out"], "logged-in": ["logged-in", "token"] };
const HEADINGS = { "unknown": null, "logged-out": "login-title", "logged-in": "username" };
class SessionView {
    #shown = "unknown";
    #fullLife = 1;
    #cause = "refresh";
    change(state, cause, language) {
        this.#cause = cause;
        if (state.status === "logged-in")
            this.#fullLife = Math.max(1, state.expiresIn);
        this.show(state, language);
    }
    show(state, language) {
        const focused = document.activeElement;
        for (const [status, ids] of Object.entries(PARTS)) {
            for (const id of ids)
                byId(id).hidden = status !== state.status;
        }
        byId("calls").hidden = state.status === "logged-in";
        showNotice(state, language);
        if (state.status === "logged-in")
            this.#showToken(state.accessToken, language);
        this.tick(state);
        const heading = HEADINGS[state.status];
        if (state.status !== this.#shown && heading !== null && isHidden(focused))
            byId(heading).focus();
        this.#shown = state.status;
    }
    tick(state) {
        if (state.status !== "logged-in")
            return;
        const seconds = Math.ceil(state.expiresIn / 1_000);
        byId("countdown").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
        byId("life").value = state.expiresIn / this.#fullLife;
    }
    #showToken(accessToken, language) {
        const strings = stringsIn(language);
        const claims = decodeAccessToken(accessToken)?.claims ?? {};
        const origins = {
            login: strings.fromLogin,
            refresh: strings.fromRefresh,
            "other-tab": strings.fromOtherTab,
            end: "",
        };
        byId("origin").textContent = origins[this.#cause];
        byId("username").textContent = String(claims["username"] ?? claims["preferred_username"] ?? claims.sub ?? "");
        byId("roles").textContent = claims.roles?.length ? strings.roles + claims.roles.join(", ") : strings.noRoles;
        const rows = Object.entries(claims).flatMap(([name, value]) => [
            element("dt", "", name),
            element("dd", "", showClaim(name, value, language)),
        ]);
        byId("claims").replaceChildren(...rows);
    }
}
function showNotice(state, language) {
    const notice = byId("notice");
    notice.hidden = state.status !== "logged-out" || state.reason === null;
    if (state.status !== "logged-out" || state.reason === null)
        return;
    notice.textContent = endingIn(language, state.reason, state.endCause);
    notice.classList.toggle("asked-for", state.reason === "LOGGED_OUT");
}
function isHidden(focused) {
    return focused !== null && focused.closest("[hidden]") !== null;
}
function showClaim(name, value, language) {
    const isTime = ["exp", "iat", "nbf", "auth_time", "sxp"].includes(name) && typeof value === "number";
    if (isTime)
        return new Date(value * 1_000).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
    return typeof value === "string" ? value : JSON.stringify(value);
}
const SECRET_FIELDS = new Set([
    "password",
    "currentPassword",
    "newPassword",
    "accessToken",
    "refreshToken",
    "token",
]);
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
function watchedFetch(watch) {
    return async (input, init) => {
        const request = new Request(input, init);
        request.headers.set("accept-language", watch.language());
        const check = isCheck(request);
        const bearer = request.headers.get("authorization");
        if (bearer !== null && !check && watch.spoil > 0) {
            watch.spoil -= 1;
            request.headers.set("authorization", `${bearer.slice(0, -12)}${"A".repeat(12)}`);
        }
        const { pathname: path } = new URL(request.url);
        const details = await describeRequest(request.clone(), watch.hiddenCookie());
        const looking = watch.isLooking();
        const receive = watch.send({
            method: request.method,
            path,
            bearer: request.headers.get("authorization") ?? "",
            check,
            details,
        });
        const started = performance.now();
        const show = (status, reason, text) => {
            const noSession = looking && reason === "TOKEN_MISSING";
            receive({ status, reason, noSession, milliseconds: performance.now() - started, details: text });
        };
        try {
            const response = await fetch(request);
            const text = await response.clone().text();
            show(response.status, reasonIn(text), describeResponse(response, text));
            return response;
        }
        catch (error) {
            show(0, "", String(error));
            throw error;
        }
    };
}
function isCheck(request) {
    return request.cache === "no-store" && request.method === "GET" && request.url.endsWith("/v1/auth/session");
}
function reasonIn(text) {
    try {
        const { reason } = JSON.parse(text);
        return typeof reason === "string" ? reason : "";
    }
    catch {
        return "";
    }
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
class WireRow {
    element;
    #strings;
    #what;
    #times = element("span", "times");
    #note = element("span", "note");
    #status = element("span", "status");
    #took = element("span", "took", "…");
    #several;
    #text = element("pre", "");
    #count = 0;
    #slowest = 0;
    constructor(sent, strings) {
        this.#strings = strings;
        this.#several = textElement("p", "muted small", "lastOfSeveral", strings());
        this.#several.hidden = true;
        this.#what = element("span", "what", element("span", "", `${sent.method} ${sent.path}`), this.#times);
        const time = element("time", "", clockTime());
        const summary = element("summary", "", time, this.#what, this.#status, this.#took, this.#note);
        this.#text.textContent = sent.details;
        this.element = element("li", "call", element("details", "", summary, this.#several, this.#text));
    }
    get count() {
        return this.#count;
    }
    get words() {
        const status = [this.#status.textContent, this.#note.textContent].filter(Boolean).join(" ");
        return `${this.#what.textContent}: ${status}`;
    }
    change(by) {
        this.#count += by;
        this.#times.textContent = this.#count > 1 ? ` × ${this.#count}` : "";
        this.#several.hidden = this.#count <= 1;
    }
    receive(sent, received) {
        const { status, reason, noSession, milliseconds, details } = received;
        this.#slowest = Math.max(this.#slowest, milliseconds);
        this.#took.textContent = `${Math.round(this.#slowest)} ms`;
        this.#status.className = `status ${noSession ? "neutral" : gradeOf(status)}`;
        if (status === 0)
            this.#status.replaceChildren(textElement("span", "", "noAnswer", this.#strings()));
        else
            this.#status.textContent = String(status);
        if (noSession)
            this.#note.replaceChildren(textElement("span", "", "noSession", this.#strings()));
        else
            this.#note.textContent = reason;
        this.#text.textContent = `${sent.details}\n\n${details}`;
    }
}
function gradeOf(status) {
    if (status === 0 || status >= 500)
        return "broken";
    return status >= 400 ? "refused" : "good";
}
function clockTime() {
    return new Date().toLocaleTimeString("en-GB");
}
const TOGETHER = 2_000;
class Burst {
    #kind;
    #list;
    #strings;
    #outcomes = new Map();
    #waiting;
    #latest = 0;
    constructor(sent, list, strings) {
        this.#kind = kindOf(sent);
        this.#list = list;
        this.#strings = strings;
    }
    takes(sent) {
        return kindOf(sent) === this.#kind && performance.now() - this.#latest < TOGETHER;
    }
    send(sent) {
        this.#latest = performance.now();
        const waiting = (this.#waiting ??= this.#addRow(sent));
        waiting.change(1);
        return (received) => {
            const outcome = `${received.status} ${received.reason}`;
            let row = this.#outcomes.get(outcome);
            if (row === undefined && waiting.count === 1) {
                row = waiting;
                if (this.#waiting === waiting)
                    this.#waiting = undefined;
            }
            else {
                row ??= this.#addRow(sent, waiting);
                waiting.change(-1);
                row.change(1);
            }
            this.#outcomes.set(outcome, row);
            if (waiting.count === 0)
                this.#dropWaiting(waiting);
            row.receive(sent, received);
            return row;
        };
    }
    #addRow(sent, before) {
        const row = new WireRow(sent, this.#strings);
        if (before?.element.parentElement === this.#list)
            before.element.before(row.element);
        else
            this.#list.append(row.element);
        return row;
    }
    #dropWaiting(waiting) {
        waiting.element.remove();
        if (this.#waiting === waiting)
            this.#waiting = undefined;
    }
    get rows() {
        return [...this.#outcomes.values()];
    }
}
function kindOf(sent) {
    return `${sent.method} ${sent.path} ${sent.bearer} ${sent.check}`;
}
class WireGroup {
    element;
    #list = element("ol", "rows");
    #strings;
    #bursts = [];
    #events = [];
    constructor(title, strings) {
        this.#strings = strings;
        const head = element("div", "group-head", textElement("h3", "", title, strings()), element("time", "", clockTime()));
        this.element = element("li", "group", head, this.#list);
    }
    get size() {
        return this.#list.children.length;
    }
    send(sent) {
        let burst = this.#bursts.at(-1);
        if (!burst?.takes(sent)) {
            burst = new Burst(sent, this.#list, this.#strings);
            this.#bursts.push(burst);
        }
        return burst.send(sent);
    }
    event(...content) {
        const what = element("span", "", ...content);
        this.#list.append(element("li", "event", element("time", "", clockTime()), what));
        this.#events.push(what.textContent);
    }
    get words() {
        const rows = this.#bursts.flatMap((burst) => burst.rows.map((row) => row.words));
        return [...rows, ...this.#events].join(". ");
    }
}
const MOST_GROUPS = 50;
const MOST_ROWS = 40;
class WireLog {
    #places;
    #strings;
    #begun = [];
    #background;
    #checks = 0;
    constructor(places, strings) {
        this.#places = places;
        this.#strings = strings;
    }
    begin(title) {
        const begun = { title, group: undefined };
        this.#begun.push(begun);
        return () => {
            this.#begun = this.#begun.filter((it) => it !== begun);
            if (begun.group !== undefined)
                this.#say(begun.group.words);
        };
    }
    send(sent) {
        if (sent.check)
            return (received) => this.#showCheck(sent, received);
        const { group, own } = this.#current();
        const receive = group.send(sent);
        return (received) => {
            const row = receive(received);
            if (own)
                this.#say(row.words);
        };
    }
    event(...content) {
        const { group, own } = this.#current();
        group.event(...content);
        if (own)
            this.#say(group.words);
    }
    clear() {
        this.#places.list.replaceChildren();
        this.#places.empty.hidden = false;
        this.#background = undefined;
        for (const begun of this.#begun)
            begun.group = undefined;
        this.resetChecks();
    }
    resetChecks() {
        this.#checks = 0;
        this.#places.check.hidden = true;
    }
    #showCheck(sent, received) {
        if (received.status !== 200) {
            const row = this.#current().group.send(sent)(received);
            this.#say(row.words);
            return;
        }
        this.#checks += 1;
        const { check } = this.#places;
        check.hidden = false;
        const what = element("span", "what", `${sent.method} ${sent.path} × ${this.#checks}`);
        check.replaceChildren(textElement("span", "muted", "check", this.#strings()), what, element("span", "status good", String(received.status)));
    }
    #current() {
        const begun = this.#begun.at(-1);
        if (begun !== undefined)
            return { group: (begun.group ??= this.#add(begun.title)), own: false };
        if (this.#background === undefined || this.#background.size >= MOST_ROWS)
            this.#background = this.#add("background");
        return { group: this.#background, own: true };
    }
    #add(title) {
        const { list, empty } = this.#places;
        const group = new WireGroup(title, this.#strings);
        this.#background = undefined;
        list.prepend(group.element);
        list.scrollTop = 0;
        empty.hidden = true;
        while (list.children.length > MOST_GROUPS)
            list.lastElementChild?.remove();
        return group;
    }
    #say(text) {
        this.#places.said.textContent = text;
    }
}
let language = initialLanguage();
const wire = new WireLog({ list: byId("wire"), empty: byId("wire-empty"), check: byId("check"), said: byId("wire-said") }, say);
const view = new SessionView();
const watch = {
    send: (sent) => wire.send(sent),
    language: () => (language === "zh" ? "zh-CN" : "en"),
    hiddenCookie: () => say().hiddenCookie,
    isLooking: () => client.state.status === "unknown",
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
    view.show(client.state, language);
}
async function logged(title, run) {
    const end = wire.begin(title);
    try {
        await run();
    }
    catch (error) {
        if (error instanceof UnavailableError)
            wire.event(note("unavailable"));
        else
            wire.event(messageOf(error));
    }
    finally {
        end();
    }
}
function onClick(button, run) {
    button.addEventListener("click", async () => {
        if (button.ariaDisabled === "true")
            return;
        button.ariaDisabled = "true";
        await logged(button.dataset["text"], run);
        button.ariaDisabled = null;
    });
}
function note(key) {
    return textElement("span", "", key, say());
}
function messageOf(error) {
    if (error instanceof PasswordRejectedError) {
        return [error.message, ...error.violations.map((violation) => violation.description)].join(" ");
    }
    return error instanceof AuthError ? error.message : String(error);
}
function onSubmit(form, title, failure, run) {
    form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const submit = form.querySelector("button");
        if (submit.ariaDisabled === "true")
            return;
        submit.ariaDisabled = "true";
        failure.hidden = true;
        const end = wire.begin(title);
        try {
            await run(new FormData(form));
            form.reset();
        }
        catch (error) {
            failure.textContent = messageOf(error);
            failure.hidden = false;
        }
        finally {
            end();
            submit.ariaDisabled = null;
        }
    });
}
const devices = new DeviceList(client, byId("devices"), say, onClick);
async function changePassword(fields) {
    const done = byId("change-done");
    done.hidden = true;
    await client.changePassword(String(fields.get("current")), String(fields.get("new")));
    devices.clear();
    done.hidden = false;
}
async function twentyRequests() {
    watch.spoil = 20;
    await Promise.allSettled(Array.from({ length: 20 }, () => client.fetch("/v1/auth/session")));
    watch.spoil = 0;
}
async function copyCurl() {
    const body = JSON.stringify({ accessToken: await client.accessToken() });
    const line = `curl -sS ${location.origin}/v1/auth/logout -H 'content-type: application/json' -d '${body}'`;
    const copied = await navigator.clipboard?.writeText(line).then(() => true, () => false);
    wire.event(note(copied ? "copied" : "notCopied"));
}
client.onChange((state, cause) => {
    if (cause === "other-tab")
        wire.event(note("eventOtherTab"));
    view.change(state, cause, language);
});
client.onLoggedOut((reason, endCause) => {
    wire.event(note("eventEnd"), endCause === undefined ? reason : `${reason}, ${endCause}`);
    wire.resetChecks();
    devices.clear();
    byId("change-done").hidden = true;
});
onSubmit(byId("login"), "login", byId("failure"), (fields) => client.login({ username: String(fields.get("username")), password: String(fields.get("password")) }));
byId("clear").addEventListener("click", () => wire.clear());
onClick(byId("second-tab"), () => window.open(location.href, "_blank", "noopener"));
onClick(byId("twenty"), twentyRequests);
onClick(byId("renew"), () => client.refresh());
onClick(byId("elsewhere"), copyCurl);
onSubmit(byId("change"), "change", byId("change-failure"), changePassword);
onClick(byId("devices-show"), () => devices.show());
onClick(byId("devices-others"), () => devices.endOthers());
onClick(byId("logout"), () => client.logout());
onClick(byId("logout-everywhere"), () => client.logout({ everywhere: true }));
for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
        speak(button.dataset["language"]);
        history.replaceState(null, "", `#${language}`);
    });
}
setInterval(() => view.tick(client.state), 250);
speak(language);
async function findSession() {
    await logged("opened", () => client.session());
    if (client.state.status === "unknown")
        setTimeout(() => void findSession(), 3_000);
}
void findSession();
