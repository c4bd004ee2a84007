import { Module } from "@nestjs/common";
import { JwtModule } from "@nestjs/jwt";
import { TypeOrmModule } from "@nestjs/typeorm";
import { OrderController } from "./order.controller.js";
import { UserController } from "./user.controller.js";
import { User } from "./user.entity.js";

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: "mysql",
      url: process.env.MYSQL_URL ?? "mysql://app:app@127.0.0.1:3306/app",
      entities: [User],
    }),
    TypeOrmModule.forFeature([User]),
    JwtModule.register({ secret: process.env.JWT_SECRET ?? "the secret of all tokens" }),
  ],
  controllers: [UserController, OrderController],
})
export class AppModule {}
