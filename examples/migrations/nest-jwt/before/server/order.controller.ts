import { Controller, Get, Req, UseGuards } from "@nestjs/common";
import { JwtGuard, type LoggedIn, Role } from "./jwt.guard.js";

@Controller("api")
@UseGuards(JwtGuard)
export class OrderController {
  @Get("orders")
  orders(@Req() { user }: LoggedIn) {
    return { userId: Number(user.sub), username: user.username, orders: [`first order of user ${user.sub}`] };
  }

  @Get("report")
  @Role("manager")
  report() {
    return "the report";
  }
}
