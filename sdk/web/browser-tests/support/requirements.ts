import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { Identity } from "./proxy.js";

const CHROMIUM = process.env["CHROMIUM_BIN"] ?? "/usr/bin/chromium";

/** What these tests run: both are there when `missing` is undefined. */
export const required = {
  chromium: CHROMIUM,
  countersign: process.env["COUNTERSIGN_BIN"] ?? "",
};

/** Why the tests of a file cannot run; undefined when they can. Under `CI=true` they must. */
export function missing(): string | undefined {
  const why = whatIsMissing();
  if (why === undefined) return undefined;
  if (process.env["CI"] === "true") throw new Error(why);
  console.log(`SKIPPED browser tests: ${why}`);
  return why;
}

function whatIsMissing(): string | undefined {
  if (!existsSync(required.chromium)) return `chromium is not installed (apt-get install chromium)`;
  if (!existsSync(required.countersign)) return "COUNTERSIGN_BIN does not name the countersign binary";
  return undefined;
}

/** A certificate of its own making for this machine; undefined where there is no openssl. */
export function selfSigned(): Identity | undefined {
  const what = [
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=127.0.0.1",
    "-addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout - -out -",
  ].join(" ");
  try {
    const pem = execFileSync("openssl", what.split(" "), { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const [key = "", cert = ""] = pem.split(/(?=-----BEGIN CERTIFICATE)/);
    return { key, cert };
  } catch (error) {
    if (process.env["CI"] === "true") throw error;
    return undefined;
  }
}
