// Compiled, never run: what users of the package may write, and what they may not.
import axios from "axios";
import {
  AuthError,
  createAuthClient,
  LoggedOutError,
  type AuthClient,
  type EndCause,
  type LogoutReason,
  type Session,
} from "@countersign/web";
import { attachToAxios } from "@countersign/web/axios";

const client: AuthClient = createAuthClient({ baseUrl: "https://auth.example.com" });
const session: Promise<Session | null> = client.session();
const detach: () => void = attachToAxios(axios.create(), client);
const stop: () => void = client.onLoggedOut((reason: LogoutReason, endCause: EndCause | undefined) => {
  endCause satisfies string | undefined;
  switch (reason) {
    case "LOGGED_OUT":
    case "SESSION_REPLACED":
    case "TOKEN_MISSING":
    case "REFRESH_TOKEN_INVALID":
    case "REFRESH_TOKEN_EXPIRED":
    case "REFRESH_TOKEN_REUSED":
    case "SESSION_REVOKED":
      return;
    default:
      reason satisfies never;
  }
});

const error: AuthError = new LoggedOutError("LOGGED_OUT");
if (client.state.status === "logged-in") client.state.accessToken satisfies string;

// @ts-expect-error the address of the edge is needed
createAuthClient({});
// @ts-expect-error a session may be null
client.session().then((found) => found.username);
// @ts-expect-error the token is there only when somebody is logged in
client.state.accessToken;
// @ts-expect-error both are needed
client.login({ username: "ada" });
// @ts-expect-error what is known cannot be written
client.state = { status: "unknown" };

export { detach, error, session, stop };
