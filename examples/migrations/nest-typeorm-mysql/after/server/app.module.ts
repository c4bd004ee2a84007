import { Module } from "@nestjs/common";
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
  ],
  controllers: [UserController, OrderController],
})
export class AppModule {}
