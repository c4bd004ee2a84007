import { Body, Controller, HttpCode, Post, Req, UnauthorizedException, UseGuards } from "@nestjs/common";
import { JwtService } from "@nestjs/jwt";
import bcrypt from "bcryptjs";
import { type LoggedIn, JwtGuard, RefreshGuard, secrets } from "./jwt.guard.js";
import { type User, users } from "./users.js";

@Controller("auth")
export class AuthController {
  constructor(private readonly jwt: JwtService) {}

  @Post("login")
  @HttpCode(200)
  async login(@Body() { username, password }: { username: string; password: string }) {
    const user = users.find((it) => it.username === username);
    if (!user || !(await bcrypt.compare(String(password), user.passwordHash))) {
      throw new UnauthorizedException("wrong username or password");
    }
    const refresh_token = this.jwt.sign({ sub: String(user.id) }, { secret: secrets.refresh, expiresIn: "7d" });
    return { access_token: this.accessToken(user), refresh_token };
  }

  @Post("refresh")
  @HttpCode(200)
  @UseGuards(RefreshGuard)
  refresh(@Req() { user }: LoggedIn) {
    return { access_token: this.accessToken(users.find((it) => String(it.id) === user.sub)!) };
  }

  /** The tokens live on: there is nothing that could end them. */
  @Post("logout")
  @HttpCode(200)
  @UseGuards(JwtGuard)
  logout() {
    return {};
  }

  private accessToken({ id, username, roles }: User) {
    return this.jwt.sign({ sub: String(id), username, roles }, { secret: secrets.access, expiresIn: "15m" });
  }
}
