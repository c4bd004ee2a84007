import { Verifier } from "@countersign/node";

/** Follows Countersign: it checks tokens in this process, and hears of every logout. */
const verifier = Verifier.connect({
  endpoint: process.env.COUNTERSIGN ?? "http://127.0.0.1:50051",
  issuer: "countersign",
  audiences: ["countersign"],
});

/** Lets calls with a good access token through; `context.user` is who is calling. */
export default defineEventHandler(async (event) => {
  if (!event.path.startsWith("/api/")) return;
  const token = getHeader(event, "authorization")?.match(/^Bearer (.+)$/)?.[1];
  if (!token) return failure(1001, "no token");
  const answer = await verifier.verify(token);
  if (answer.outcome === "verified") {
    const { externalId, username, roles } = answer.token;
    event.context.user = { id: Number(externalId), username, role: roles[0] ?? "" };
  } else if (answer.outcome === "unknown") {
    return failure(9001, "please try again");
  } else {
    return answer.reason === "EXPIRED" ? failure(1002, "the token has expired") : failure(1003, "the token is invalid");
  }
});
