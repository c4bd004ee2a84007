import { createPool, type RowDataPacket } from "mysql2/promise";

const pool = createPool(process.env.MYSQL_URL ?? "mysql://app:app@127.0.0.1:3306/app");

export interface User extends RowDataPacket {
  id: number;
  username: string;
  password_hash: string;
  role: string;
}

export async function findUser(column: "id" | "username", value: number | string): Promise<User | undefined> {
  const [rows] = await pool.query<User[]>("SELECT id, username, password_hash, role FROM users WHERE ?? = ?", [column, value]);
  return rows[0];
}
