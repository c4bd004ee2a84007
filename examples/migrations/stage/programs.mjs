// The programs that the applications run with, and processes that do not outlive this one.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";

/** Far longer than a start takes, for busy machines. */
const PATIENCE = 60_000;

/** The path of a program; undefined where it is not installed. */
export function find(name) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/bin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** A process, and what it has written. */
export class Program {
  log = "";
  #child;

  constructor(command, options, settings = {}) {
    this.name = command;
    this.#child = spawn(command, options, { stdio: ["ignore", "pipe", "pipe"], ...settings });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (text) => (this.log = (this.log + text).slice(-100_000)));
    }
    const kill = () => this.#child.kill("SIGKILL");
    process.once("exit", kill);
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.log += error;
        resolve();
      });
      this.#child.once("exit", () => {
        process.removeListener("exit", kill);
        resolve();
      });
    });
  }

  /** Waits until it is as `condition` says; fails when it ends before. */
  async until(what, condition) {
    let ended = false;
    void this.ended.then(() => (ended = true));
    await until(`${this.name}: ${what}`, async () => {
      if (ended) throw new Error(`${this.name} has ended:\n${this.log}`);
      return condition();
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }

  listens(port) {
    return this.until(`it listens on ${port}`, () => isListening(port));
  }

  async stop() {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(timer);
  }
}

/** Waits until a condition holds, and answers what it answered. */
export async function until(what, condition) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Runs a program to its end, and answers what it prints. */
export function run(command, options, settings = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, options, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
    ...settings,
  });
  if (status !== 0) throw new Error(`${command} ${options.join(" ")}: ${error ?? ""}${stdout}${stderr}`);
  return stdout;
}

/** A port that is free at the moment. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen(0, "127.0.0.1", () => {
      const { port } = holder.address();
      holder.close(() => resolve(port));
    });
  });
}

function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const over = (answer) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", over(true)).once("error", over(false));
  });
}
