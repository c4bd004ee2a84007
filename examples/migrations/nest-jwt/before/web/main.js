import { http, logIn, logOut } from "./api.js";

const find = (id) => document.getElementById(id);

/** Shows the page that the address names. */
function show() {
  const page = location.hash === "#/login" ? "login" : "home";
  find("page").replaceChildren(find(`${page}-page`).content.cloneNode(true));
  if (page === "login") {
    find("login").onsubmit = enter;
    return;
  }
  find("load").onclick = () =>
    run(async () => {
      const { data } = await http.get("/api/orders");
      find("orders").textContent = `user ${data.userId}, ${data.username}: ${data.orders.join(", ")}`;
    });
  find("report").onclick = () =>
    run(async () => {
      find("orders").textContent = (await http.get("/api/report")).data;
    });
  find("logout").onclick = () => run(logOut);
}

function enter(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  return run(async () => {
    await logIn(form.get("username"), form.get("password"));
    location.hash = "#/";
  });
}

/** Runs what a button does, and shows what went wrong. */
async function run(what) {
  find("message").textContent = "";
  if (find("orders")) find("orders").textContent = "";
  try {
    await what();
  } catch (error) {
    const { status, data } = error.response ?? {};
    const said = status === 403 ? "you may not see this" : data?.message;
    find("message").textContent = said ?? "something went wrong, please try again";
  }
}

addEventListener("hashchange", show);
if (localStorage.getItem("refresh_token") === null) location.hash = "#/login";
show();
