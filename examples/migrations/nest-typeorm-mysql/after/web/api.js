import axios from "axios";

const ENDED = ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED"];

export const http = axios.create();

let loggedOut = () => {};
let refreshing = false;
let waiting = [];

export const isLoggedIn = () => localStorage.getItem("refresh_token") !== null;

export function whenLoggedOut(callback) {
  loggedOut = callback;
}

export const signUp = (username, password) => axios.post("/user/register", { username, password });

export async function logIn(username, password) {
  const { data } = await axios.post("/user/login", { username, password });
  localStorage.setItem("access_token", data.tokens.accessToken);
  localStorage.setItem("refresh_token", data.tokens.refreshToken);
}

export async function logOut() {
  await axios.post("/user/logout", { refreshToken: localStorage.getItem("refresh_token") });
  forget("logged out");
}

function forget(why) {
  localStorage.removeItem("access_token");
  localStorage.removeItem("refresh_token");
  loggedOut(why);
}

async function refresh() {
  const refreshToken = localStorage.getItem("refresh_token");
  const { data } = await axios.post("/user/refresh", { refreshToken });
  localStorage.setItem("access_token", data.tokens.accessToken);
  localStorage.setItem("refresh_token", data.tokens.refreshToken);
}

http.interceptors.request.use((config) => {
  config.headers.authorization = `Bearer ${localStorage.getItem("access_token")}`;
  return config;
});

http.interceptors.response.use(undefined, async (error) => {
  const { config, response } = error;
  if (response?.status !== 401 || config.repeated) throw error;
  config.repeated = true;
  if (refreshing) return new Promise((resolve, reject) => waiting.push({ config, resolve, reject }));
  refreshing = true;
  try {
    await refresh();
    for (const { config: other, resolve } of waiting) resolve(http(other));
  } catch (failure) {
    for (const { reject } of waiting) reject(failure);
    if (!isLoggedIn() || ENDED.includes(failure.response?.data.reason)) forget("please log in again");
    throw failure;
  } finally {
    refreshing = false;
    waiting = [];
  }
  return http(config);
});
