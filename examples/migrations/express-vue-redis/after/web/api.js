import axios from "axios";

const AHEAD = 5 * 60; // seconds before its end at which an access token is renewed
const ENDED = ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED"];

let loggedOut = () => {};
let refreshing = null;

export const isLoggedIn = () => localStorage.getItem("refreshToken") !== null;

export function whenLoggedOut(callback) {
  loggedOut = callback;
}

function save(tokens) {
  localStorage.setItem("accessToken", tokens.accessToken);
  localStorage.setItem("refreshToken", tokens.refreshToken);
}

function forget() {
  localStorage.removeItem("accessToken");
  localStorage.removeItem("refreshToken");
  loggedOut();
}

// Another tab has logged out.
addEventListener("storage", ({ key, newValue }) => {
  if (key === "refreshToken" && newValue === null) loggedOut();
});

/** Seconds until the access token expires. */
function timeLeft() {
  const payload = localStorage.getItem("accessToken").split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
  return JSON.parse(atob(payload)).exp - Date.now() / 1000;
}

/** One refresh for all who ask meanwhile. */
function refresh() {
  refreshing ??= axios
    .post("/api/auth/refresh", { refreshToken: localStorage.getItem("refreshToken") })
    .then(({ data }) => save(data.tokens))
    .catch((error) => {
      if (ENDED.includes(error.response?.data?.reason)) forget();
      throw error;
    })
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

export const http = axios.create();

http.interceptors.request.use(async (config) => {
  if (timeLeft() < AHEAD) await refresh();
  config.headers.authorization = `Bearer ${localStorage.getItem("accessToken")}`;
  return config;
});

http.interceptors.response.use(undefined, async (error) => {
  const { config, response } = error;
  if (response?.status !== 401 || config.repeated) throw error;
  config.repeated = true;
  await refresh();
  return http(config);
});

export async function logIn(username, password) {
  const { data } = await axios.post("/api/auth/login", { username, password });
  save(data.tokens);
}

export async function logOut() {
  await http.post("/api/auth/logout");
  forget();
}

export async function changePassword(oldPassword, newPassword) {
  const body = { refreshToken: localStorage.getItem("refreshToken"), currentPassword: oldPassword, newPassword };
  save((await axios.post("/api/auth/password", body)).data.tokens);
}
