import { Client } from "@countersign/node";
import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  ServiceUnavailableException,
  UnauthorizedException,
} from "@nestjs/common";
import type { Request } from "express";

export type LoggedIn = Request & { user: { userId: number; username: string } };

const { auth } = new Client({ endpoint: process.env.COUNTERSIGN ?? "http://127.0.0.1:50051", deadline: 2000 });

/** Lets requests with a good access token through; `request.user` is who is calling. */
@Injectable()
export class LoginGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<LoggedIn>();
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme !== "Bearer" || !token) throw new UnauthorizedException("not logged in");
    const { result } = await auth.verifyAccessToken({ accessToken: token }).catch(() => {
      // Nothing is known about the token: this must not log anyone out.
      throw new ServiceUnavailableException("please try again");
    });
    if (result.case !== "verified") throw new UnauthorizedException("token expired");
    request.user = { userId: Number(result.value.externalId), username: result.value.username };
    return true;
  }
}
