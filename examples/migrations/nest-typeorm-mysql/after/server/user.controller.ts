import { Controller, Get, Req, UseGuards } from "@nestjs/common";
import { InjectRepository } from "@nestjs/typeorm";
import { Repository } from "typeorm";
import { type LoggedIn, LoginGuard } from "./login.guard.js";
import { User } from "./user.entity.js";

@Controller("user")
export class UserController {
  constructor(@InjectRepository(User) private readonly users: Repository<User>) {}

  @Get("me")
  @UseGuards(LoginGuard)
  async me(@Req() { user: { userId } }: LoggedIn) {
    const { id, username } = await this.users.findOneByOrFail({ id: userId });
    return { id, username };
  }
}
