import { Controller, Get, Req, UseGuards } from "@nestjs/common";
import { JwtGuard, type LoggedIn } from "./jwt.guard.js";
import { findUser } from "./users.js";

@Controller("api")
@UseGuards(JwtGuard)
export class OrderController {
  @Get("orders")
  async orders(@Req() { user: { id, username } }: LoggedIn) {
    const phone = (await findUser("id", id))?.phone;
    return { id, username, phone, orders: [`first order of user ${id}`] };
  }
}
