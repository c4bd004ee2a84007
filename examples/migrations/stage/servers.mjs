// Redis, MariaDB, Countersign and nginx, each in a folder of the stage's.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { find, freePort, Program, run } from "./programs.mjs";

export async function startRedis(folder) {
  const port = await freePort();
  const options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  const program = new Program(find("redis-server"), options.map(String));
  await program.listens(port);
  return { program, url: `redis://127.0.0.1:${port}` };
}

/** MariaDB with the database `app` and an account of the same name. */
export async function startMariaDb(folder) {
  const port = await freePort();
  // As root it wants to be told whom to run as.
  const account = process.getuid?.() === 0 ? ["--user=root"] : [];
  const data = [`--datadir=${folder}/mariadb`, `--tmpdir=${folder}`, "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=4M"];
  run(find("mariadb-install-db"), [
    "--no-defaults",
    ...account,
    ...data,
    "--skip-test-db",
    "--auth-root-authentication-method=normal",
  ]);
  const accounts = join(folder, "accounts.sql");
  writeFileSync(
    accounts,
    "CREATE USER app@'%' IDENTIFIED BY 'app';\nGRANT ALL ON *.* TO app@'%';\nCREATE DATABASE app;\nCREATE DATABASE countersign;\n",
  );
  const program = new Program(find("mariadbd"), [
    "--no-defaults",
    ...account,
    ...data,
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    `--port=${port}`,
    `--socket=${folder}/mariadb.socket`,
    `--pid-file=${folder}/mariadb.pid`,
    `--init-file=${accounts}`,
  ]);
  await program.listens(port);
  const url = (database) => `mysql://app:app@127.0.0.1:${port}/${database}`;
  return { program, url: url("app"), countersignUrl: url("countersign") };
}

/** The real binary, as the system's countersign.toml says, on ports and stores of the stage's. */
export class Countersign {
  #folder;
  #environment;

  static async prepare(folder, configuration, settings) {
    const server = new Countersign();
    server.#folder = join(folder, "countersign");
    mkdirSync(server.#folder, { recursive: true, mode: 0o700 });
    [server.grpcPort, server.edgePort, server.operationsPort] = [await freePort(), await freePort(), await freePort()];
    server.#environment = {
      PATH: process.env.PATH,
      COUNTERSIGN_CONFIG: configuration,
      COUNTERSIGN__GRPC__LISTEN: `127.0.0.1:${server.grpcPort}`,
      COUNTERSIGN__EDGE__LISTEN: `127.0.0.1:${server.edgePort}`,
      COUNTERSIGN__OPERATIONS__LISTEN: `127.0.0.1:${server.operationsPort}`,
      COUNTERSIGN__SHUTDOWN__DRAIN_DELAY: "0s",
      ...settings,
    };
    server.run(["key", "init"]);
    server.run(["migrate"]);
    return server;
  }

  /** Runs a subcommand, and answers what it prints. */
  run(options, input = "") {
    return run(process.env.COUNTERSIGN_BIN, options, { cwd: this.#folder, env: this.#environment, input });
  }

  async start() {
    this.program = new Program(process.env.COUNTERSIGN_BIN, ["serve"], { cwd: this.#folder, env: this.#environment });
    const url = `http://127.0.0.1:${this.operationsPort}/readyz`;
    await this.program.until("it is ready", async () => (await fetch(url).catch(() => undefined))?.ok === true);
  }

  stop() {
    return this.program.stop();
  }
}

/** nginx by the system's nginx.conf, whose ports are replaced: 3000 is the application, 8080 the edge, 10000 nginx. */
export async function startNginx(folder, file, ports) {
  const ingress = await freePort();
  const place = join(folder, "nginx");
  mkdirSync(place, { recursive: true });
  // Its workers are another user's when it is started by root.
  chmodSync(folder, 0o755);
  chmodSync(place, 0o755);
  const written = { 10000: ingress, ...ports };
  const text = readFileSync(file, "utf8").replace(/127\.0\.0\.1:(\d+)/g, (all, port) =>
    port in written ? `127.0.0.1:${written[port]}` : all,
  );
  writeFileSync(join(place, "nginx.conf"), text);
  const options = ["-p", place, "-c", join(place, "nginx.conf"), "-g", "daemon off;"];
  const program = new Program(find("nginx"), options);
  await program.listens(ingress);
  return { program, origin: `http://127.0.0.1:${ingress}` };
}

/** A certificate of its own making for this machine, and its key, in PEM. */
export function selfSigned() {
  const what = [
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1",
    "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout - -out -",
  ].join(" ");
  const { status, stdout } = spawnSync("openssl", what.split(" "), { encoding: "utf8" });
  if (status !== 0) throw new Error("openssl could not make a certificate");
  const [key = "", cert = ""] = stdout.split(/(?=-----BEGIN CERTIFICATE)/);
  return { key, cert };
}
