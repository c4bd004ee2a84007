import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { required } from "./requirements.js";

/** Far longer than a start takes, for busy machines. */
const PATIENCE = 60_000;

/** The real binary: `countersign dev` on ports of its own, with nothing kept. */
export class Countersign {
  readonly username = "admin";
  password = "";
  /** Where the edge is. */
  url = "";
  /** What it has logged. */
  log = "";
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts it with these settings, named as in its configuration: `{ TOKENS__ACCESS_TTL: "2s" }`. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<Countersign> {
    const listen = ["--grpc-listen", "--http-listen", "--operations-listen"].flatMap((flag) => [flag, "127.0.0.1:0"]);
    const variables = Object.entries(settings).map(([name, value]) => [`COUNTERSIGN__${name}`, value]);
    const child = spawn(required.countersign, ["dev", "--ephemeral", ...listen], {
      env: { ...process.env, ...Object.fromEntries(variables) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const server = new Countersign(child);
    child.stderr!.on("data", (text: Buffer) => (server.log += text.toString()));
    try {
      await server.#readBanner();
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    return server;
  }

  #readBanner(): Promise<void> {
    const lines = createInterface({ input: this.#child.stdout! });
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`countersign dev ${why}\n${this.log}`));
      const timer = setTimeout(() => fail("was not ready in time"), PATIENCE);
      this.#child.once("exit", (code) => fail(`ended with ${code}`));
      this.#child.once("error", (error) => fail(String(error)));
      lines.on("line", (line) => {
        const [name, value] = line.trim().split(/\s+/);
        if (name === "password") this.password = value ?? "";
        if (name === "HTTP") this.url = /http:\/\/[^/\s]+/.exec(line)?.[0] ?? "";
        if (name !== "Ready.") return;
        clearTimeout(timer);
        if (this.url === "" || this.password === "") fail("did not say where its edge is, or the password");
        else resolve();
      });
    });
  }

  /** Ends a session from elsewhere: no browser, no cookie, only a stolen access token. */
  async revoke(accessToken: string): Promise<void> {
    const response = await fetch(`${this.url}/v1/auth/logout`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ accessToken }),
    });
    if (!response.ok) throw new Error(`logout answered ${response.status}`);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGTERM");
    await gone;
  }
}
