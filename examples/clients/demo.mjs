// Logs in, refreshes from two clients at once, asks who it is and logs out:
//
//   COUNTERSIGN__EDGE__REFRESH_TRANSPORT=body countersign dev      # prints the password of admin
//   PASSWORD=… node examples/clients/demo.mjs

import { tmpdir } from "node:os";
import { join } from "node:path";

import { FileStore } from "./file-store.mjs";
import { Refused, Session, SessionEnded } from "./session.mjs";

const { EDGE = "http://127.0.0.1:8080", USERNAME: username = "admin", PASSWORD: password } = process.env;
const store = new FileStore(process.env.TOKENS ?? join(tmpdir(), "countersign-demo.json"));
// As two processes would have them, each with a session object of its own.
const [one, other] = [new Session(EDGE, store), new Session(EDGE, store)];

await one.login(username, `not ${password}`).catch((error) => {
  if (!(error instanceof Refused)) throw error;
  console.log(`wrong password: ${error.reason}`);
});
await one.login(username, password);
const { accessToken } = await store.read();
const [first, second] = await Promise.all([one.refresh(accessToken), other.refresh(accessToken)]);
console.log(`refreshed once for both: ${first.accessToken === second.accessToken}`);
const session = await (await other.fetch(`${EDGE}/v1/auth/session`)).json();
console.log(`logged in as: ${session.username}`);
await other.logout();
await one.fetch(`${EDGE}/v1/auth/session`).catch((error) => {
  if (!(error instanceof SessionEnded)) throw error;
  console.log(`logged out: ${error.reason}`);
});
