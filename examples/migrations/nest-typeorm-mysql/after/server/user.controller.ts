import { CallError, Client } from "@countersign/node";
import {
  BadRequestException,
  Body,
  ConflictException,
  Controller,
  Get,
  Post,
  Req,
  ServiceUnavailableException,
  UseGuards,
} from "@nestjs/common";
import { InjectRepository } from "@nestjs/typeorm";
import { Repository } from "typeorm";
import { type LoggedIn, LoginGuard } from "./login.guard.js";
import { User } from "./user.entity.js";

const countersign = new Client({
  endpoint: process.env.COUNTERSIGN ?? "http://127.0.0.1:50051",
  credential: process.env.COUNTERSIGN_KEY,
});

@Controller("user")
export class UserController {
  constructor(@InjectRepository(User) private readonly users: Repository<User>) {}

  @Post("register")
  async register(@Body() { username, password }: { username: string; password: string }) {
    const { id } = await this.users.save({ username: String(username) }).catch(() => {
      throw new ConflictException("the name is taken");
    });
    try {
      const credential = { case: "password", value: String(password) } as const;
      await countersign.users.createUser({ username: String(username), credential, externalId: String(id) });
    } catch (error) {
      await this.users.delete({ id });
      const { reason } = error as CallError;
      if (reason === "USERNAME_TAKEN") throw new ConflictException("the name is taken");
      if (reason === "PASSWORD_REJECTED") throw new BadRequestException("the password is too weak");
      throw new ServiceUnavailableException("please try again");
    }
    return { id };
  }

  @Get("me")
  @UseGuards(LoginGuard)
  async me(@Req() { user: { userId } }: LoggedIn) {
    const { id, username } = await this.users.findOneByOrFail({ id: userId });
    return { id, username };
  }
}
