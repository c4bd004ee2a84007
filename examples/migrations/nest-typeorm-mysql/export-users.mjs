// Prints the users of the old table, one a line, as `countersign user import` takes them.
import { createConnection } from "mysql2/promise";

const database = await createConnection(process.env.MYSQL_URL ?? "mysql://app:app@127.0.0.1:3306/app");
const [users] = await database.query("SELECT id, username, password FROM user ORDER BY id");
for (const { id, username, password } of users) {
  console.log(JSON.stringify({ username, password, external_id: String(id) }));
}
await database.end();
