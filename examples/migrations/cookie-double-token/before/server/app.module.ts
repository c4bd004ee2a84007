import { Module } from "@nestjs/common";
import { JwtModule } from "@nestjs/jwt";
import { AuthController } from "./auth.controller.js";
import { OrderController } from "./order.controller.js";

@Module({
  imports: [JwtModule.register({})],
  controllers: [AuthController, OrderController],
})
export class AppModule {}
