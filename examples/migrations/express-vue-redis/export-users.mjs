// Prints the users of before/, one a line, as `countersign user import` takes them.
import { users } from "./before/server/users.js";

for (const { id, username, passwordHash } of users) {
  console.log(JSON.stringify({ username, password_hash: passwordHash, external_id: String(id) }));
}
