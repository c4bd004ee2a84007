import { http, logIn, logOut, resume, whenLoggedOut } from "./api.js";

const find = (id) => document.getElementById(id);

function show(page) {
  find("page").replaceChildren(find(`${page}-page`).content.cloneNode(true));
  if (page === "login") {
    find("login").onsubmit = enter;
    return;
  }
  find("load").onclick = () =>
    run(async () => {
      const { data } = await http.get("/api/orders");
      find("orders").textContent = `user ${data.id}, ${data.username}, ${data.phone}: ${data.orders.join(", ")}`;
    });
  find("logout").onclick = () => run(logOut);
}

function enter(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  return run(async () => {
    await logIn(form.get("username"), form.get("password"), form.get("captcha"));
    show("home");
  });
}

/** Runs what a button does, and shows what went wrong. */
async function run(what) {
  find("message").textContent = "";
  if (find("orders")) find("orders").textContent = "";
  try {
    await what();
  } catch (error) {
    find("message").textContent = error.response?.data?.message ?? "something went wrong, please try again";
  }
}

whenLoggedOut(() => show("login"));
show((await resume()) ? "home" : "login");
