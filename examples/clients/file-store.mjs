// Tokens in a file that only its owner can read, for all processes of one machine.

import { mkdir, open, readFile, rename, rmdir, stat, unlink } from "node:fs/promises";

/** No holder takes longer than this: a refresh gives up before. Whoever has held it for longer has died. */
const LONGEST_HELD = 60_000;

export class FileStore {
  #path;

  constructor(path) {
    this.#path = path;
  }

  async read() {
    try {
      return JSON.parse(await readFile(this.#path, "utf8"));
    } catch (error) {
      if (error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Whole or not at all, also when the process dies in the middle. */
  async write(tokens) {
    if (tokens === undefined) return unlink(this.#path).catch(ignore("ENOENT"));
    const draft = `${this.#path}.${process.pid}`;
    const file = await open(draft, "w", 0o600);
    try {
      await file.writeFile(JSON.stringify(tokens));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, this.#path);
  }

  async exclusively(work) {
    const lock = `${this.#path}.lock`;
    while (!(await taken(lock))) await new Promise((resolve) => setTimeout(resolve, 20));
    try {
      return await work();
    } finally {
      await rmdir(lock).catch(ignore("ENOENT"));
    }
  }
}

/** Makes the directory that stands for the lock, or finds that somebody has. */
async function taken(lock) {
  try {
    await mkdir(lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const held = await stat(lock).catch(ignore("ENOENT"));
  if (held && Date.now() - held.mtimeMs > LONGEST_HELD) await rmdir(lock).catch(ignore("ENOENT"));
  return false;
}

function ignore(code) {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
