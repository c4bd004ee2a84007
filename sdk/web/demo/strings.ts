import type { EndCause, LogoutReason } from "@countersign/web";

export type Language = "en" | "zh";

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
  wireTitle: "On the wire",
  wireHint:
    "What this tab sends and receives. Secrets are shortened. The refresh token never appears: it is in a cookie that scripts cannot read.",
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

export type Strings = typeof en;

const zh: Strings = {
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

const endings: Record<Language, Record<LogoutReason, string>> = {
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

const causes: Record<Language, Record<EndCause, string>> = {
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

/** What the page says in this language. */
export function stringsIn(language: Language): Strings {
  return language === "zh" ? zh : en;
}

/** Why a session ended, for people. */
export function endingIn(language: Language, reason: LogoutReason, cause: EndCause | undefined): string {
  return cause === undefined ? endings[language][reason] : causes[language][cause];
}
