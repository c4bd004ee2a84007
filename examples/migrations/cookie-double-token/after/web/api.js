import axios from "axios";

const GRACE = 3000; // milliseconds in which the last token is given to all who ask for another
const ENDED = ["TOKEN_MISSING", "REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED"];

let accessToken = "";
let loggedIn = true; // until the server says otherwise
let loggedOut = () => {};

export function whenLoggedOut(callback) {
  loggedOut = callback;
}

function leave() {
  accessToken = "";
  loggedIn = false;
  loggedOut();
}

/** Fetches access tokens by the cookie: one request for all who ask meanwhile, and none for those who come right after. */
class TokenRefresher {
  running = null;
  refreshedAt = -GRACE;

  refresh() {
    if (performance.now() - this.refreshedAt < GRACE) return Promise.resolve();
    this.running ??= this.fetchToken().finally(() => (this.running = null));
    return this.running;
  }

  async fetchToken() {
    try {
      const { data } = await axios.post("/auth/refresh");
      accessToken = data.tokens.accessToken;
      this.refreshedAt = performance.now();
    } catch (error) {
      if (ENDED.includes(error.response?.data.reason)) leave();
      throw error;
    }
  }
}

const refresher = new TokenRefresher();

/** After a page load: whether somebody is logged in. */
export async function resume() {
  await refresher.refresh().catch(() => undefined);
  return loggedIn;
}

export async function logIn(username, password, captcha) {
  const { data } = await axios.post("/auth/rt/login", { username, password }, { headers: { "x-captcha-response": captcha } });
  accessToken = data.tokens.accessToken;
}

export async function logOut() {
  await http.post("/auth/logout");
  leave();
}

export const http = axios.create();

http.interceptors.request.use((config) => {
  config.headers.authorization = `Bearer ${accessToken}`;
  return config;
});

http.interceptors.response.use(undefined, async (error) => {
  const { config, response } = error;
  if (![401, 419].includes(response?.status) || config.repeated) throw error;
  config.repeated = true;
  await refresher.refresh();
  return http(config);
});
