// A system on this machine: its stores, and its application before or after the move.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { find, freePort, Program, run } from "./programs.mjs";
import { Countersign, startMariaDb, startNginx, startRedis } from "./servers.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What a system needs and is not here; undefined where all is. */
export function missing(system) {
  const programs = ["nginx", ...(system.programs ?? [])];
  if (system.stores.includes("redis")) programs.push("redis-server");
  if (system.stores.includes("mariadb")) programs.push("mariadbd", "mariadb-install-db");
  const absent = programs.find((name) => find(name) === undefined);
  if (absent !== undefined) return absent;
  if (!existsSync(process.env.COUNTERSIGN_BIN ?? "")) return "COUNTERSIGN_BIN (the path of the countersign binary)";
  return undefined;
}

export class Stage {
  #programs = [];

  /** Starts the stores of a system. */
  static async open(system) {
    const stage = new Stage();
    stage.system = system;
    stage.folder = mkdtempSync(join(tmpdir(), "countersign-migration-"));
    // What a system adds to the configuration of Countersign.
    stage.settings = {};
    stage.environment = { PATH: process.env.PATH, NODE_ENV: "production" };
    try {
      for (const store of system.stores) await stage.#startStore(store);
      await system.prepare?.(stage);
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async #startStore(store) {
    if (store === "redis") {
      this.redis = await startRedis(this.folder);
      this.#programs.push(this.redis.program);
      this.environment.REDIS_URL = this.redis.url;
    } else {
      this.mariadb = await startMariaDb(this.folder);
      this.#programs.push(this.mariadb.program);
      this.environment.MYSQL_URL = this.mariadb.url;
    }
  }

  file(...parts) {
    return join(ROOT, this.system.name, ...parts);
  }

  /** Starts the application as it was. `origin` is where its page is. */
  async startBefore() {
    const port = await this.#startApplication("before", {});
    this.origin = `http://127.0.0.1:${port}`;
  }

  /** Countersign, with its database and its keys, but not serving. */
  async prepareCountersign(settings = {}) {
    const stores = {};
    if (this.redis) stores.COUNTERSIGN__REDIS__URL = this.redis.url;
    if (this.mariadb) stores.COUNTERSIGN__DATABASE__URL = this.mariadb.countersignUrl;
    this.countersign = await Countersign.prepare(this.folder, this.file("countersign.toml"), { ...stores, ...this.settings, ...settings });
  }

  /** Exports the users as README.md says, and imports them. Answers what the import printed. */
  moveUsers() {
    const users = run(process.execPath, [this.file("export-users.mjs")], { env: this.environment });
    return this.countersign.run(["user", "import", "-"], users);
  }

  /** Starts Countersign, the application as it is now, and nginx in front of both. */
  async startAfter() {
    const { countersign } = this;
    await this.system.beforeAfter?.(this);
    await countersign.start();
    this.#programs.push(countersign);
    const port = await this.#startApplication("after", {
      COUNTERSIGN: `http://127.0.0.1:${countersign.grpcPort}`,
      COUNTERSIGN_EDGE: `http://127.0.0.1:${countersign.edgePort}`,
    });
    const ports = { 3000: port, 8080: countersign.edgePort };
    const nginx = await startNginx(this.folder, this.file("nginx.conf"), ports);
    this.#programs.push(nginx.program);
    this.origin = nginx.origin;
  }

  async #startApplication(phase, settings) {
    await build(this.system, phase);
    const port = await freePort();
    const env = { ...this.environment, ...settings, PORT: String(port), HOST: "127.0.0.1" };
    this.application = new Program(process.execPath, [this.file(phase, this.system.main)], { env });
    this.#programs.push(this.application);
    await this.application.listens(port);
    return port;
  }

  async stopApplication() {
    await this.application.stop();
  }

  async close() {
    for (const program of this.#programs.reverse()) await program.stop();
    await this.system.finish?.(this);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
