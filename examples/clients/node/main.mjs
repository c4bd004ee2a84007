// Logs in, verifies the access token, refreshes once and logs out. PASSWORD is the user's; ADDRESS and ACCOUNT may be set.

import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

// The only reasons to forget tokens. On every other error keep them.
const ENDED = new Set(["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED"]);

const contract = loadSync(
  ["countersign/v1/auth_service.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"],
  { includeDirs: [fileURLToPath(new URL("../../../proto", import.meta.url))], longs: Number, enums: String, oneofs: true },
);
const { AuthService } = grpc.loadPackageDefinition(contract).countersign.v1;

/** The reason in google.rpc.ErrorInfo, among the details of the status. */
function reason(error) {
  const [status] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = status ? contract["google.rpc.Status"].deserialize(status).details : [];
  const info = details.find((detail) => detail.type_url.endsWith("/google.rpc.ErrorInfo"));
  // Without one the error did not come from the service: the connection failed, for example.
  return info ? contract["google.rpc.ErrorInfo"].deserialize(info.value).reason : grpc.status[error.code];
}

function explain(error) {
  const name = reason(error);
  const rest = ENDED.has(name) ? "the session is over: forget the tokens" : "keep any tokens";
  return `refused: ${name} (${rest})`;
}

const { ADDRESS = "127.0.0.1:50051", ACCOUNT = "admin", PASSWORD } = process.env;
// Where the service speaks TLS: grpc.credentials.createSsl().
const client = new AuthService(ADDRESS, grpc.credentials.createInsecure());

/** One call, with a deadline. */
function call(method, message) {
  return promisify(client[method]).call(client, message, { deadline: Date.now() + 5_000 });
}

async function session() {
  const login = await call("Login", { username: ACCOUNT, password: PASSWORD });
  let tokens = login.tokens;
  console.log(`logged in: ${login.session.username}`);

  // A token that is not good is an answer and not an error.
  const answer = await call("VerifyAccessToken", { accessToken: tokens.accessToken });
  if (answer.result === "verified") {
    console.log(`verified: ${answer.verified.username}`);
  } else {
    console.log(`not verified: ${answer.invalid?.reason}`);
  }

  ({ tokens } = await call("Refresh", { refreshToken: tokens.refreshToken }));
  console.log(`refreshed: the access token is good for ${tokens.expiresIn} s`);

  await call("Logout", { refreshToken: tokens.refreshToken });
  console.log("logged out");

  await call("Refresh", { refreshToken: tokens.refreshToken }).catch((error) => console.log(explain(error)));
}

try {
  await session();
} catch (error) {
  console.log(explain(error));
  process.exitCode = 1;
} finally {
  client.close();
}
