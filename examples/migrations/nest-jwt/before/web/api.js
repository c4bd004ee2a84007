import axios from "axios";

export const http = axios.create();

export async function logIn(username, password) {
  const { data } = await axios.post("/auth/login", { username, password });
  localStorage.setItem("access_token", data.access_token);
  localStorage.setItem("refresh_token", data.refresh_token);
}

export async function logOut() {
  await http.post("/auth/logout");
  toLogin();
}

function toLogin() {
  localStorage.removeItem("access_token");
  localStorage.removeItem("refresh_token");
  location.hash = "#/login";
}

async function refresh() {
  const headers = { authorization: `Bearer ${localStorage.getItem("refresh_token")}` };
  const { data } = await axios.post("/auth/refresh", undefined, { headers });
  localStorage.setItem("access_token", data.access_token);
}

http.interceptors.request.use((config) => {
  config.headers.authorization = `Bearer ${localStorage.getItem("access_token")}`;
  return config;
});

http.interceptors.response.use(undefined, async (error) => {
  if (error.response?.status !== 401 || error.config.repeated) throw error;
  error.config.repeated = true;
  try {
    await refresh();
  } catch (failure) {
    toLogin();
    throw failure;
  }
  return http(error.config);
});
