import { useEffect, useState } from "react";
import { http, isLoggedIn, logIn, logOut, signUp, whenLoggedOut } from "./api.js";

export function App() {
  const [loggedIn, setLoggedIn] = useState(isLoggedIn());
  const [message, setMessage] = useState("");
  const [orders, setOrders] = useState("");

  useEffect(() => {
    whenLoggedOut((why) => {
      setLoggedIn(false);
      setMessage(why);
    });
  }, []);

  /** Runs what a button does, and shows what went wrong. */
  async function run(what) {
    setMessage("");
    setOrders("");
    try {
      await what();
    } catch (error) {
      setMessage((said) => said || (error.response?.data.detail ?? error.response?.data.message ?? "something went wrong, please try again"));
    }
  }

  function enter(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    const isNew = event.nativeEvent.submitter.id === "register";
    return run(async () => {
      if (isNew) await signUp(form.get("username"), form.get("password"));
      await logIn(form.get("username"), form.get("password"));
      setLoggedIn(true);
    });
  }

  // Three requests at once, which may all meet a token that has expired.
  const load = () =>
    run(async () => {
      const [me, list, news] = await Promise.all(["/user/me", "/orders", "/news"].map((path) => http.get(path)));
      setOrders(`user ${me.data.id}, ${me.data.username}: ${list.data.join(", ")}, ${news.data}`);
    });

  return (
    <>
      <p id="message">{message}</p>
      {loggedIn ? (
        <main id="home">
          <button id="load" onClick={load}>
            Orders
          </button>
          <p id="orders">{orders}</p>
          <button id="logout" onClick={() => run(logOut)}>
            Log out
          </button>
        </main>
      ) : (
        <form id="login" onSubmit={enter}>
          <input name="username" />
          <input name="password" type="password" />
          <button>Log in</button>
          <button id="register">Sign up</button>
        </form>
      )}
    </>
  );
}
