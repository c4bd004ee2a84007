import { Controller, Get, Req, UseGuards } from "@nestjs/common";
import { type LoggedIn, LoginGuard } from "./login.guard.js";

@Controller()
@UseGuards(LoginGuard)
export class OrderController {
  @Get("orders")
  orders(@Req() { user }: LoggedIn) {
    return [`first order of user ${user.userId}`];
  }

  @Get("news")
  news() {
    return ["no news"];
  }
}
