import { readFileSync } from "node:fs";

export interface User {
  id: number;
  username: string;
  passwordHash: string;
  roles: string[];
}

export const users: User[] = JSON.parse(readFileSync(new URL("../../users.json", import.meta.url), "utf8"));
