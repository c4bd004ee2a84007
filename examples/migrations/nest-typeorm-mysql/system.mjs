import { readFileSync } from "node:fs";
import { createConnection } from "mysql2/promise";

export default {
  name: "nest-typeorm-mysql",
  stores: ["mariadb"],
  build: ["tsc", "vite"],
  main: "build/main.js",

  /** The users of the old system. */
  async prepare({ mariadb }) {
    const database = await createConnection({ uri: mariadb.url, multipleStatements: true });
    await database.query(readFileSync(new URL("users.sql", import.meta.url), "utf8"));
    await database.end();
  },

  /** What after/ needs beside the users: README.md, "Sign-up". */
  async beforeAfter(stage) {
    const database = await createConnection(stage.mariadb.url);
    await database.query("ALTER TABLE user ALTER COLUMN password SET DEFAULT ''");
    await database.end();
    stage.countersign.run(["service-account", "create", "orders", "--role", "countersign:users"]);
    const printed = stage.countersign.run(["service-account", "key", "create", "orders"]);
    stage.environment.COUNTERSIGN_KEY = printed.trim().split("\n").at(-1);
  },
};
