import type { LogoutReason } from "@countersign/web";

export type Language = "en" | "zh";

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

export type Strings = typeof en;

const zh: Strings = {
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

const endings: Record<Language, Record<LogoutReason, string>> = {
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

/** What the page says in this language. */
export function stringsIn(language: Language): Strings {
  return language === "zh" ? zh : en;
}

/** Why a session ended, for people. */
export function endingIn(language: Language, reason: LogoutReason): string {
  return endings[language][reason];
}
