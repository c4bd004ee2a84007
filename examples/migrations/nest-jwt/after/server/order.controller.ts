import type { Token } from "@countersign/node";
import { CurrentToken, RequireRole } from "@countersign/node/nestjs";
import { Controller, Get } from "@nestjs/common";

@Controller("api")
export class OrderController {
  @Get("orders")
  orders(@CurrentToken() { externalId, username }: Token) {
    return { userId: Number(externalId), username, orders: [`first order of user ${externalId}`] };
  }

  @Get("report")
  @RequireRole("manager")
  report() {
    return "the report";
  }
}
