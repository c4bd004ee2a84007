import {
  type CanActivate,
  type ExecutionContext,
  ForbiddenException,
  Injectable,
  SetMetadata,
  UnauthorizedException,
} from "@nestjs/common";
import { Reflector } from "@nestjs/core";
import { JwtService } from "@nestjs/jwt";
import type { Request } from "express";

export type LoggedIn = Request & { user: { sub: string; username: string; roles: string[] } };

export const secrets = {
  access: process.env.ACCESS_SECRET ?? "the secret of access tokens",
  refresh: process.env.REFRESH_SECRET ?? "the secret of refresh tokens",
};

export const Role = (role: string) => SetMetadata("role", role);

/** Lets requests with a good access token through, and with the role that the handler asks for. */
@Injectable()
export class JwtGuard implements CanActivate {
  protected readonly secret: string = secrets.access;

  constructor(
    private readonly jwt: JwtService,
    private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<LoggedIn>();
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme !== "Bearer" || !token) throw new UnauthorizedException();
    try {
      request.user = await this.jwt.verifyAsync(token, { secret: this.secret });
    } catch {
      throw new UnauthorizedException();
    }
    const role = this.reflector.get<string | undefined>("role", context.getHandler());
    if (role !== undefined && !request.user.roles.includes(role)) throw new ForbiddenException();
    return true;
  }
}

@Injectable()
export class RefreshGuard extends JwtGuard {
  protected override readonly secret = secrets.refresh;
}
