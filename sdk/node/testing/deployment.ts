import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { Client, Verifier, type ClientOptions, type Tokens, type VerifierOptions } from "../src/index.js";
import { until, within } from "./fake-server.js";
import { hasTool } from "./tool.js";

export const PASSWORD = "correct horse battery";

/** A real server with its database, its keys and a Redis. */
export class Deployment {
  readonly #t: TestContext;
  readonly #folder: string;
  readonly #redisPort: number;
  /** Configures the server. */
  readonly #environment: NodeJS.ProcessEnv;
  /** Where the server listens, also after it was started again. */
  readonly grpc: string;
  server!: ChildProcess;
  redis!: ChildProcess;

  private constructor(t: TestContext, folder: string, grpcPort: number, redisPort: number) {
    this.#t = t;
    this.#folder = folder;
    this.#redisPort = redisPort;
    this.grpc = `127.0.0.1:${grpcPort}`;
    this.#environment = {
      ...process.env,
      COUNTERSIGN_CONFIG: join(folder, "countersign.toml"),
      COUNTERSIGN__DATABASE__URL: `sqlite://${join(folder, "countersign.db")}`,
      COUNTERSIGN__REDIS__URL: `redis://127.0.0.1:${redisPort}`,
      COUNTERSIGN__KEYS__DIRECTORY: join(folder, "keys"),
      COUNTERSIGN__GRPC__LISTEN: this.grpc,
      COUNTERSIGN__OPERATIONS__LISTEN: "127.0.0.1:0",
      COUNTERSIGN__EDGE__ENABLED: "false",
      COUNTERSIGN__LOG__FORMAT: "json",
      COUNTERSIGN__SHUTDOWN__DRAIN_DELAY: "0s",
      COUNTERSIGN__PASSWORDS__MEMORY_KIB: "64",
      COUNTERSIGN__PASSWORDS__ITERATIONS: "1",
      COUNTERSIGN__THROTTLE__ENABLED: "false",
    };
  }

  /** Undefined where what it needs is missing: the test is skipped then. */
  static async start(t: TestContext, configuration = ""): Promise<Deployment | undefined> {
    const binary = process.env["COUNTERSIGN_BIN"] ?? "";
    if (
      !hasTool(t, "COUNTERSIGN_BIN (the path of the server's binary)", binary) ||
      !hasTool(t, "redis-server", "redis-server")
    ) {
      return undefined;
    }
    const folder = mkdtempSync(join(tmpdir(), "countersign-node-"));
    // Keys are refused where others may read them.
    mkdirSync(join(folder, "keys"), { mode: 0o700 });
    writeFileSync(join(folder, "countersign.toml"), configuration);
    const d = new Deployment(t, folder, await freePort(), await freePort());
    t.after(() => {
      d.stop(d.server);
      d.stop(d.redis);
      rmSync(folder, { recursive: true, force: true });
    });
    await d.startRedis();
    d.run("", "migrate");
    d.run("", "key", "generate", "--kind", "signing", "--activate-in", "0s");
    d.run("", "key", "generate", "--kind", "refresh", "--activate-in", "0s");
    d.run(`${PASSWORD}\n`, "user", "create", "ada", "--role", "orders", "--password-stdin");
    await d.startServer();
    return d;
  }

  /** Runs a subcommand in the server's environment, and returns what it prints. */
  run(input: string, ...options: string[]): string {
    const { status, stdout, stderr } = spawnSync(binaryPath(), options, {
      env: this.#environment,
      input,
      encoding: "utf8",
    });
    assert.equal(status, 0, `${options.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Starts the server, and returns when it is ready. */
  async startServer(): Promise<void> {
    this.server = await this.startReplica(this.grpc);
  }

  /** Starts a server that listens there, and returns when it is ready. */
  async startReplica(address: string): Promise<ChildProcess> {
    const env = { ...this.#environment, COUNTERSIGN__GRPC__LISTEN: address };
    const server = spawn(binaryPath(), ["serve"], { env, stdio: ["ignore", "ignore", "pipe"] });
    killAtExit(server);
    const operations = new Promise<string>((resolve) => {
      createInterface(server.stderr).on("line", (line) => {
        if (line.includes('"listening"')) {
          resolve((JSON.parse(line) as { operations: string }).operations);
        }
      });
    });
    const reached = await within("the server listens", operations);
    await until("the server is ready", async () => {
      const answer = await fetch(`http://${reached}/readyz`).catch(() => undefined);
      return answer?.ok === true;
    });
    return server;
  }

  async startRedis(): Promise<void> {
    const options = ["--port", String(this.#redisPort), "--bind", "127.0.0.1", "--save", "", "--dir", this.#folder];
    this.redis = spawn("redis-server", options, { stdio: "ignore" });
    killAtExit(this.redis);
    await until("Redis listens", () => isListening(this.#redisPort));
  }

  /** Copies the database, while no server runs. What is returned puts the copy in its place. */
  backUp(): () => void {
    const isDatabase = (name: string): boolean => name.startsWith("countersign.db");
    const backup = mkdtempSync(join(this.#folder, "backup-"));
    const copy = (from: string, to: string): void =>
      readdirSync(from)
        .filter(isDatabase)
        .forEach((name) => copyFileSync(join(from, name), join(to, name)));
    copy(this.#folder, backup);
    return () => {
      readdirSync(this.#folder)
        .filter(isDatabase)
        .forEach((name) => rmSync(join(this.#folder, name)));
      copy(backup, this.#folder);
    };
  }

  /** Kills a process, with SIGKILL, and returns when it is gone. */
  async kill(child: ChildProcess): Promise<void> {
    const gone = new Promise((resolve) => {
      child.once("exit", resolve);
    });
    child.kill("SIGKILL");
    await within("a process is gone", gone);
  }

  /** Kills a process, with SIGKILL. */
  stop(child: ChildProcess | undefined): void {
    child?.kill("SIGKILL");
  }

  /** Stops the server with SIGSTOP, and returns when each of its threads stands still. */
  async halt(): Promise<void> {
    this.server.kill("SIGSTOP");
    const threads = `/proc/${this.server.pid}/task`;
    await until("the server stands still", () =>
      readdirSync(threads).every((thread) => readFileSync(`${threads}/${thread}/stat`, "utf8").includes(") T ")),
    );
  }

  resume(): void {
    this.server.kill("SIGCONT");
  }

  client(changed: Partial<ClientOptions> = {}): Client {
    const client = new Client({ endpoint: `http://${this.grpc}`, ...changed });
    this.#t.after(() => client.close());
    return client;
  }

  login(client: Client): Promise<Tokens> {
    return client.login({ username: "ada", password: PASSWORD });
  }

  /** A verifier that has loaded everything. */
  async verifier(changed: Partial<VerifierOptions> = {}): Promise<Verifier> {
    const verifier = Verifier.connect({
      endpoint: `http://${this.grpc}`,
      issuer: "countersign",
      audiences: ["countersign"],
      maxBackoff: 200,
      logger: { debug: () => undefined, info: () => undefined, warn: () => undefined },
      ...changed,
    });
    this.#t.after(() => verifier.close());
    await within("a verifier is ready", verifier.ready());
    return verifier;
  }
}

function binaryPath(): string {
  return process.env["COUNTERSIGN_BIN"] ?? "";
}

/** No process outlives the tests, however these end. */
function killAtExit(child: ChildProcess): void {
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
}

/** A port that nobody has at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen(0, "127.0.0.1", () => {
      const { port } = holder.address() as { port: number };
      holder.close(() => resolve(port));
    });
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial(port, "127.0.0.1");
    const over = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", over(true)).once("error", over(false));
  });
}
