import { readFileSync } from "node:fs";

// In production these are in MySQL or MongoDB. Passwords are bcrypt hashes.
export const users = JSON.parse(readFileSync(new URL("../../users.json", import.meta.url), "utf8"));
