import { type CanActivate, type ExecutionContext, HttpException, Injectable, UnauthorizedException } from "@nestjs/common";
import { JwtService } from "@nestjs/jwt";
import type { Request } from "express";

export type LoggedIn = Request & { user: { id: number; username: string } };

export const ACCESS_SECRET = process.env.ACCESS_SECRET ?? "the secret of access tokens";

/** Lets requests with a good access token through; `request.user` is who is calling. */
@Injectable()
export class JwtGuard implements CanActivate {
  constructor(private readonly jwt: JwtService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<LoggedIn>();
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme !== "Bearer" || !token) throw new UnauthorizedException("please log in");
    try {
      request.user = await this.jwt.verifyAsync(token, { secret: ACCESS_SECRET });
    } catch {
      throw new HttpException("the token has expired", 419);
    }
    return true;
  }
}
