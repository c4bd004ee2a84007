import {
  BadRequestException,
  Body,
  ConflictException,
  Controller,
  Get,
  Post,
  Query,
  Req,
  UnauthorizedException,
  UseGuards,
} from "@nestjs/common";
import { JwtService } from "@nestjs/jwt";
import { InjectRepository } from "@nestjs/typeorm";
import { Repository } from "typeorm";
import { type LoggedIn, LoginGuard } from "./login.guard.js";
import { User } from "./user.entity.js";

@Controller("user")
export class UserController {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly jwt: JwtService,
  ) {}

  @Post("register")
  async register(@Body() { username, password }: { username: string; password: string }) {
    const { id } = await this.users.save({ username: String(username), password: String(password) }).catch(() => {
      throw new ConflictException("the name is taken");
    });
    return { id };
  }

  @Post("login")
  async login(@Body() { username, password }: { username: string; password: string }) {
    const user = await this.users.findOneBy({ username: String(username) });
    if (user === null) throw new BadRequestException("no such user");
    if (user.password !== password) throw new BadRequestException("wrong password");
    return this.issue(user);
  }

  @Get("refresh")
  async refresh(@Query("refresh_token") refreshToken: string) {
    try {
      const { userId } = await this.jwt.verifyAsync<{ userId: number }>(refreshToken);
      return this.issue(await this.users.findOneByOrFail({ id: userId }));
    } catch {
      throw new UnauthorizedException("token expired");
    }
  }

  @Get("me")
  @UseGuards(LoginGuard)
  async me(@Req() { user: { userId } }: LoggedIn) {
    const { id, username } = await this.users.findOneByOrFail({ id: userId });
    return { id, username };
  }

  private issue(user: User) {
    return {
      access_token: this.jwt.sign({ userId: user.id, username: user.username }, { expiresIn: "30m" }),
      refresh_token: this.jwt.sign({ userId: user.id }, { expiresIn: "7d" }),
    };
  }
}
