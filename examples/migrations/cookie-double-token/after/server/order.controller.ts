import { Controller, Get, Req, UseGuards } from "@nestjs/common";
import { GatewayGuard, type LoggedIn } from "./gateway.guard.js";
import { findUser } from "./users.js";

@Controller("api")
@UseGuards(GatewayGuard)
export class OrderController {
  @Get("orders")
  async orders(@Req() { user: { id, username } }: LoggedIn) {
    const phone = (await findUser("id", id))?.phone;
    return { id, username, phone, orders: [`first order of user ${id}`] };
  }
}
