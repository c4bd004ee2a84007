import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { selfSigned } from "../stage/servers.mjs";

export default {
  name: "cookie-double-token",
  stores: ["mariadb"],
  programs: ["openssl"],
  build: ["tsc", "vite"],
  main: "build/main.js",

  /** The users of the old system, and what stands for the captcha's provider: the response "solved" is right. */
  async prepare(stage) {
    const database = await createConnection({ uri: stage.mariadb.url, multipleStatements: true });
    await database.query(readFileSync(new URL("users.sql", import.meta.url), "utf8"));
    await database.end();

    const identity = selfSigned();
    const authority = join(stage.folder, "authority.pem");
    writeFileSync(authority, identity.cert);
    stage.captchas = [];
    stage.provider = createServer(identity, (request, response) => {
      let form = "";
      request.on("data", (text) => (form += text));
      request.on("end", () => {
        const { secret, response: said } = Object.fromEntries(new URLSearchParams(form));
        stage.captchas.push(said);
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ success: secret === "the-secret-of-the-site" && said === "solved" }));
      });
    });
    await new Promise((resolve) => stage.provider.listen(0, "127.0.0.1", resolve));
    const url = `https://127.0.0.1:${stage.provider.address().port}/siteverify`;
    Object.assign(stage.environment, { CAPTCHA_URL: url, NODE_EXTRA_CA_CERTS: authority });
    stage.settings = { COUNTERSIGN__CAPTCHA__VERIFY_URL: url, COUNTERSIGN__CAPTCHA__CA_FILE: authority };
  },

  async finish(stage) {
    stage.provider?.closeAllConnections();
    stage.provider?.close();
  },
};
