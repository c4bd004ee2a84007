import { type CanActivate, type ExecutionContext, Injectable, UnauthorizedException } from "@nestjs/common";
import type { Request } from "express";

export type LoggedIn = Request & { user: { id: number; username: string } };

/**
 * Takes who is calling from the headers of the gateway, which has asked Countersign; `request.user` is who it is. So nothing
 * but the gateway may reach this server.
 */
@Injectable()
export class GatewayGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<LoggedIn>();
    const id = Number(request.headers["x-auth-external-id"]);
    if (!id) throw new UnauthorizedException("please log in");
    request.user = { id, username: decodeURIComponent(String(request.headers["x-auth-username"])) };
    return true;
  }
}
