import { randomUUID } from "node:crypto";
import { Body, Controller, HttpCode, Post, Req, Res, UnauthorizedException, UseGuards } from "@nestjs/common";
import { JwtService } from "@nestjs/jwt";
import bcrypt from "bcryptjs";
import type { CookieOptions, Request, Response } from "express";
import { CaptchaGuard } from "./captcha.guard.js";
import { ACCESS_SECRET } from "./jwt.guard.js";
import { findUser, type User } from "./users.js";

const REFRESH_SECRET = process.env.REFRESH_SECRET ?? "the secret of refresh tokens";
const FIFTEEN_DAYS = 15 * 24 * 3600;
const COOKIE: CookieOptions = { httpOnly: true, sameSite: "lax", path: "/" };

@Controller("auth")
export class AuthController {
  constructor(private readonly jwt: JwtService) {}

  @Post("rt/login")
  @HttpCode(200)
  @UseGuards(CaptchaGuard)
  async login(
    @Body() { username, password }: { username: string; password: string },
    @Res({ passthrough: true }) response: Response,
  ) {
    const user = await findUser("username", String(username));
    if (!user || !(await bcrypt.compare(String(password), user.password_hash))) {
      throw new UnauthorizedException("wrong username or password");
    }
    return this.issue(user, response);
  }

  @Post("refresh")
  @HttpCode(200)
  async refresh(@Req() request: Request, @Res({ passthrough: true }) response: Response) {
    const token = /(?:^|; )rt=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
    try {
      const { sub } = await this.jwt.verifyAsync<{ sub: string }>(token, { secret: REFRESH_SECRET });
      return this.issue((await findUser("id", Number(sub)))!, response);
    } catch {
      throw new UnauthorizedException("please log in again");
    }
  }

  /** Both tokens live on where they have been copied: there is no way to end a session. */
  @Post("logout")
  @HttpCode(200)
  logout(@Res({ passthrough: true }) response: Response) {
    response.clearCookie("rt", COOKIE);
    return {};
  }

  private issue({ id, username, phone }: User, response: Response) {
    const claims = { sub: String(id), username, phone, id };
    const refreshToken = this.jwt.sign({ ...claims, jti: randomUUID() }, { secret: REFRESH_SECRET, expiresIn: FIFTEEN_DAYS });
    response.cookie("rt", refreshToken, { ...COOKIE, maxAge: FIFTEEN_DAYS * 1000 });
    return { data: { access_token: this.jwt.sign(claims, { secret: ACCESS_SECRET, expiresIn: "10m" }) } };
  }
}
