interface User {
  id: number;
  username: string;
}

const AHEAD = 60_000; // milliseconds before its end at which an access token is renewed

const KEYS = ["accessToken", "refreshToken", "accessExpiresAt", "user"];

let refreshing: Promise<void> | undefined;

export const useSession = () => {
  const user = useState<User | undefined>("user", () => JSON.parse(localStorage.getItem("user") ?? "null") ?? undefined);
  return { user, isLoggedIn, logIn, logOut };
};

const isLoggedIn = () => localStorage.getItem("refreshToken") !== null;

async function logIn(username: string, password: string) {
  const data = await call<any>("/api/v1/user/login", { method: "POST", body: { username, password } });
  localStorage.setItem("accessToken", data.tokens.accessToken);
  localStorage.setItem("refreshToken", data.tokens.refreshToken);
  localStorage.setItem("accessExpiresAt", data.tokens.accessExpiresAt);
  const { externalId } = await call<any>("/api/v1/auth/session", {});
  const user = { id: Number(externalId), username: data.session.username };
  localStorage.setItem("user", JSON.stringify(user));
  useState("user").value = user;
}

async function logOut() {
  await call("/api/v1/auth/logout", { method: "POST", body: { refreshToken: localStorage.getItem("refreshToken") } });
  await leave("logged out");
}

async function leave(why: string) {
  for (const key of KEYS) localStorage.removeItem(key);
  useMessage().value = why;
  await navigateTo("/login");
}

async function refresh() {
  const body = { refreshToken: localStorage.getItem("refreshToken") };
  try {
    const data = await call<any>("/api/v1/auth/refresh", { method: "POST", body });
    localStorage.setItem("accessToken", data.tokens.accessToken);
    localStorage.setItem("refreshToken", data.tokens.refreshToken);
    localStorage.setItem("accessExpiresAt", data.tokens.accessExpiresAt);
  } catch (error) {
    if (!isLoggedIn() || [1001, 1003, 1005].includes((error as ApiError).code)) await leave("please log in again");
    throw error;
  }
}

/** One refresh for all who ask meanwhile. */
function refreshOnce() {
  refreshing ??= refresh().finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

/** A call with the access token, which is renewed before its end, and when the server says that it has expired. */
export async function api<T>(path: string, options: { method?: "POST" } = {}): Promise<T> {
  if (Number(localStorage.getItem("accessExpiresAt")) - Date.now() < AHEAD) await refreshOnce();
  try {
    return await call<T>(path, options);
  } catch (error) {
    const { code } = error as ApiError;
    if (code === 1002) {
      await refreshOnce();
      return call<T>(path, options);
    }
    if ([1001, 1003, 1005].includes(code)) await leave("please log in again");
    throw error;
  }
}

export class ApiError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** One call. Answers what is in the envelope; throws where its code is not 0. */
async function call<T>(path: string, options: { method?: "POST"; body?: object }): Promise<T> {
  const csrf = document.querySelector<HTMLMetaElement>("meta[name=csrf-token]")?.content ?? "";
  const headers = { authorization: `Bearer ${localStorage.getItem("accessToken") ?? ""}`, "x-csrf-token": csrf };
  const answer = await $fetch<{ code: number; message: string; data: T }>(path, { ...options, headers, retry: 0 });
  if (answer.code !== 0) throw new ApiError(answer.code, answer.message);
  return answer.data;
}
