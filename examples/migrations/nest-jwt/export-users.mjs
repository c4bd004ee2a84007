// Prints the users of before/, one a line, as `countersign user import` takes them.
import { readFileSync } from "node:fs";

const users = JSON.parse(readFileSync(new URL("users.json", import.meta.url), "utf8"));
for (const { id, username, passwordHash, roles } of users) {
  console.log(JSON.stringify({ username, password_hash: passwordHash, external_id: String(id), roles }));
}
