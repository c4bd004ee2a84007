import { readFileSync } from "node:fs";
import { createConnection } from "mysql2/promise";

export default {
  name: "nuxt-redis",
  stores: ["redis", "mariadb"],
  build: ["nuxt"],
  main: ".output/server/index.mjs",

  /** The users of the old system. */
  async prepare({ mariadb }) {
    const database = await createConnection({ uri: mariadb.url, multipleStatements: true });
    await database.query(readFileSync(new URL("users.sql", import.meta.url), "utf8"));
    await database.end();
  },
};
